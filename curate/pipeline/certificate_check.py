"""`curate certify --check`: whether what a certificate stands on is still so; strict enough for a CI job."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from curate.config.project import Config
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.pipeline.certificate import Certificate, read_judges, read_mix
from curate.stats.reliability import measure_quality

SHIFT_LEVEL = 0.01
"""Probability at which the mix of prompts counts as shifted although it is not, for categories and for lengths."""
DRIFT_LEVEL = 0.05
"""Probability at which the error counts as risen although it has not, over all checks for ever."""
RISES = (1.25, 1.75, 2.5)
"""Factors of the error rate that the sequential test bets on."""


def find_drift(lake: Lake, config: Config, certificate: Certificate) -> list[str]:
    """List what is no longer as the certificate says, one sentence each.

    Args:
        lake: The lake, now or at another snapshot.
        config: The project, whose judges count.
        certificate: The certificate, of this lake or of another one.
    """
    iteration = int(lake.value("SELECT coalesce(assessed, 0) FROM final_iteration"))
    reasons = _compare_judges(lake, config, certificate)
    reasons += _compare_mix(lake, certificate, iteration)
    reasons += _compare_agreement(lake, certificate)
    reasons += _compare_errors(lake, certificate, iteration)
    return reasons


def _compare_judges(lake: Lake, config: Config, certificate: Certificate) -> list[str]:
    then = {judge.annotator_id: judge.revision for judge in certificate.judges}
    now = {judge.annotator_id: judge.revision for judge in read_judges(lake, config)}
    changed = [f"{name} has another revision" for name in then if name in now and then[name] != now[name]]
    gone = [f"{name} no longer votes" for name in then if name not in now]
    new = [f"{name} votes now" for name in now if name not in then]
    return [f"Judges: {', '.join(changed + gone + new)}."] if changed or gone or new else []


def _compare_mix(lake: Lake, certificate: Certificate, iteration: int) -> list[str]:
    now, reasons = read_mix(lake, iteration), []
    for name, then, counts in (
        ("categories", certificate.mix.category, now.category),
        ("lengths", certificate.mix.length, now.length),
    ):
        p = compute_shift_p(then, counts)
        if p < SHIFT_LEVEL:
            reasons.append(f"Prompts: the mix of {name} has shifted (p = {p:.1g}).")
    return reasons


def compute_shift_p(then: Mapping[str, int], now: Mapping[str, int]) -> float:
    """Compute the p-value of Pearson's test that new prompts have the mix of the old ones.

    Where all old prompts are still there, the new ones are the difference; 1 where there is nothing new.

    Args:
        then: Prompts by bin when the certificate was made.
        now: Prompts by bin now.
    """
    from scipy.special import gammaincc

    bins = sorted({*then, *now})
    old = np.array([then.get(name, 0) for name in bins], np.float64)
    new = np.array([now.get(name, 0) for name in bins], np.float64)
    if np.all(new >= old):
        new = new - old
    if old.sum() == 0 or new.sum() == 0:
        return 1.0
    table = np.stack([old, new])
    table = _merge_rare(table)
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    degrees = table.shape[1] - 1
    if degrees < 1:
        return 1.0
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(gammaincc(degrees / 2, statistic / 2))


def _merge_rare(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Merge bins with an expected count below 5 on either side, for which the test does not hold."""
    expected = table.sum(1).min() * table.sum(0) / table.sum()
    rare = expected < 5
    if not rare.any():
        return table
    merged = table[:, rare].sum(1, keepdims=True)
    return np.concatenate([table[:, ~rare], merged], axis=1)


def _compare_agreement(lake: Lake, certificate: Certificate) -> list[str]:
    then = certificate.agreement
    if then.low is None:
        return []
    now = measure_quality(lake).alpha.get("all")
    if now is None or not now.high < then.low:
        return []
    figures = f"{now.value:.2f}, at most {now.high:.2f}; it was {then.alpha:.2f}"
    return [f"People: they agree less (Krippendorff's alpha {figures})."]


def _compare_errors(lake: Lake, certificate: Certificate, iteration: int) -> list[str]:
    """Test the labels of the random stratum that came after the certificate against its bound of the error."""
    if not lake.has("label_uses") or certificate.error_high is None:
        return []
    agrees = np.array([row[0] for row in lake.rows(read_query("certificate_tests"), [iteration])], np.int64)
    new = agrees[certificate.design.tested :] if lake_goes_on(lake, certificate) else agrees
    new = new[new != 0]
    wealth = grow_drift_wealth(new < 0, certificate.error_high)
    if not len(new) or wealth.max() < 1 / DRIFT_LEVEL:
        return []
    counted = f"{int((new < 0).sum())} of {len(new)} new random labels disagree"
    return [f"Errors: {counted}, more than the {certificate.error_high:.1%} at most when it was certified."]


def lake_goes_on(lake: Lake, certificate: Certificate) -> bool:
    """Tell whether the lake is the certificate's own, so that labels from before are not new."""
    query = "SELECT count(*) FROM runs WHERE stage = 'certify' AND json_extract_string(details, '$.hash') = ?"
    return bool(lake.value(query, [certificate.hash]))


def grow_drift_wealth(wrong: NDArray[np.bool_], rate: float) -> NDArray[np.float64]:
    """Compute the wealth of bets that the error has risen above `rate`, float64[n + 1] from 1 on.

    While the error is at most `rate`, it ever reaches 1/level with probability `level` at most.

    Args:
        wrong: bool[n], labels in the order in which they came.
        rate: Error rate that is not exceeded.
    """
    rate = min(max(rate, 0.01), 0.5)
    wealth = np.zeros(len(wrong))
    for rise in RISES:
        higher = min(rate * rise, 0.95)
        growth = np.where(wrong, np.log(higher / rate), np.log((1 - higher) / (1 - rate)))
        wealth += np.exp(np.minimum(np.cumsum(growth), 600.0)) / len(RISES)
    return np.concatenate(([1.0], wealth))
