"""The test of the panel against people: calibration, a safe threshold, and the error rate of all labels.

Everything is measured on the *held-out* result: neither the annotator model nor the graphs saw the verdicts under test.
The confidence of a pair is then a fixed function, the labels under test are a random sample, and the exact bounds of
`curate.stats.guarantee` hold. Calibration may use the same labels, since it is a monotone map: it changes the value of
a threshold, but not which pairs lie above it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.calibration import (
    Calibration,
    Reliability,
    compute_calibration_error,
    fit_isotonic,
    fit_temperature,
    measure_reliability,
)
from curate.aggregate.votes import Float64, Int8, Int64
from curate.config.aggregate import AggregateSection, GuaranteeSection
from curate.stats.anytime import AnytimeGuarantee, certify_strata_anytime
from curate.stats.guarantee import (
    ErrorRate,
    Guarantee,
    StratifiedGuarantee,
    certify_strata,
    prediction_powered_error,
)

Bool = NDArray[np.bool_]
LABELS_FOR_TEMPERATURE = 20
LABELS_FOR_ISOTONIC = 300
FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutResult:
    """E pairs as the panel judges them without the verdicts under test.

    `p_a` float64[E]; `direction` int8[E], the label (0: a tie); `is_open` bool[E]: the panel judged the pair and no
    verdict of people on it was seen; `stratum` int64[E] indexes `strata`.
    """

    p_a: Float64
    direction: Int8
    is_open: Bool
    stratum: Int64
    strata: tuple[str, ...]

    @property
    def confidence(self) -> Float64:
        return np.where(self.direction > 0, self.p_a, 1.0 - self.p_a)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certification:
    """The result of a test on `tested` labels.

    `pairs` bool[E]: the pairs that it is about; `accepted` bool[E]; `guarantee` None where none was asked for;
    `anytime` None where it holds for one look only;
    `pair_counts`, `accepted_counts`, `label_counts`
    int64[S]: pairs, accepted pairs and tested labels of each stratum. `calibrate` maps
    probabilities; `ece` is measured out of fold.
    """

    pairs: Bool
    accepted: Bool
    tested: int
    pair_counts: Int64
    accepted_counts: Int64
    label_counts: Int64
    guarantee: StratifiedGuarantee | None
    anytime: AnytimeGuarantee | None
    error: ErrorRate
    calibration: str
    calibrate: Calibration
    ece_before: float
    ece: float
    diagram: Reliability

    @property
    def by_stratum(self) -> list[tuple[int, Guarantee]]:
        """List the guarantee of each stratum that has pairs."""
        strata = {} if self.guarantee is None else self.guarantee.strata
        return [(k, part) for k, part in strata.items() if isinstance(k, int)]

    @property
    def holds(self) -> bool:
        return any(part.holds for _, part in self.by_stratum)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnLabels:
    """The labels that have ever tested a held-out result, for a guarantee at every look.

    `pairs` int64[n], indexes in the order in which they were drawn; `agrees` int8[n]: 1, -1, or 0 (does not count);
    `wealth`: share of delta that the test may use; `changed` bool[E]: pairs whose labels have changed since it began,
    which are not accepted.
    """

    pairs: Int64
    agrees: Int8
    wealth: float
    changed: Bool | None = None


def certify_labels(
    held_out: HeldOutResult,
    labelled: Int64,
    verdict: Float64,
    section: AggregateSection,
    drawn: DrawnLabels | None = None,
) -> Certification:
    """Test the held-out result against people.

    Args:
        held_out: The labels of E pairs that were estimated without the verdicts under test.
        labelled: int64[L], indexes of the pairs whose verdicts are under test.
        verdict: float64[L] in -1 … 1, the mean verdict of people on these pairs.
        section: The settings of the guarantee and the calibration.
        drawn: The labels of the guarantee at every look; None: it is for one look, on the labels under test.
    """
    asked = section.guarantee or GuaranteeSection()
    pairs = held_out.is_open & (held_out.direction != 0)
    counts = pairs[labelled] & ((verdict != 0) | (asked.ties == "disagree"))
    tested = labelled[counts]
    agrees = np.sign(verdict[counts]) == held_out.direction[tested]
    members = np.flatnonzero(pairs)
    index = np.searchsorted(members, tested)
    anytime = None if drawn is None else _certify_anytime(held_out, members, drawn, asked)
    if anytime is not None:
        guarantee: StratifiedGuarantee | None = anytime.guarantee
    else:
        guarantee = _certify_strata(held_out, members, index, agrees, section.guarantee)
    error = prediction_powered_error(held_out.confidence[members], index, agrees, delta=asked.delta)
    known = labelled[held_out.is_open[labelled]]
    outcome = (1.0 + np.sign(verdict[held_out.is_open[labelled]])) / 2.0
    name = _choose_calibration(section, len(known))
    out_of_fold = _calibrate_out_of_fold(name, held_out.p_a[known], outcome)
    accepted = _mark_accepted_pairs(held_out, pairs, guarantee)
    if drawn is not None and drawn.changed is not None:
        accepted &= ~drawn.changed
    per_stratum = [
        np.bincount(held_out.stratum[part], minlength=len(held_out.strata))
        for part in (pairs, accepted, tested)
    ]
    return Certification(
        pairs=pairs,
        accepted=accepted,
        tested=len(tested),
        pair_counts=per_stratum[0],
        accepted_counts=per_stratum[1],
        label_counts=per_stratum[2],
        guarantee=guarantee,
        anytime=anytime,
        error=error,
        calibration=name,
        calibrate=_fit_calibration(name, held_out.p_a[known], outcome),
        ece_before=compute_calibration_error(held_out.p_a[known], outcome),
        ece=compute_calibration_error(out_of_fold, outcome),
        diagram=measure_reliability(out_of_fold, outcome),
    )


def _certify_strata(
    held_out: HeldOutResult, members: Int64, tested: Int64, agrees: Bool, section: GuaranteeSection | None
) -> StratifiedGuarantee | None:
    if section is None:
        return None
    return certify_strata(
        held_out.confidence[members],
        held_out.stratum[members],
        tested,
        agrees,
        alpha=section.alpha,
        delta=section.delta,
    )


def _certify_anytime(
    held_out: HeldOutResult, members: Int64, drawn: DrawnLabels, section: GuaranteeSection
) -> AnytimeGuarantee:
    return certify_strata_anytime(
        held_out.confidence[members],
        held_out.stratum[members],
        np.searchsorted(members, drawn.pairs),
        drawn.agrees,
        alpha=section.alpha,
        delta=section.delta,
        wealth=drawn.wealth,
        dropped=None if drawn.changed is None else drawn.changed[members],
    )


def _mark_accepted_pairs(held_out: HeldOutResult, pairs: Bool, guarantee: StratifiedGuarantee | None) -> Bool:
    accepted = np.zeros(len(pairs), np.bool_)
    for stratum, part in guarantee.strata.items() if guarantee is not None else ():
        accepted |= pairs & (held_out.stratum == stratum) & (held_out.confidence >= part.threshold)
    return accepted


def _choose_calibration(section: AggregateSection, labels: int) -> str:
    """Choose the calibration: the configured one, or one that fits the number of labels."""
    if section.calibration == "none" or labels == 0:
        return "none"
    if section.calibration != "auto":
        return section.calibration
    if labels >= LABELS_FOR_ISOTONIC:
        return "isotonic"
    return "temperature" if labels >= LABELS_FOR_TEMPERATURE else "none"


def _fit_calibration(name: str, p_a: Float64, outcome: Float64) -> Calibration:
    match name:
        case "temperature":
            return fit_temperature(p_a, outcome)
        case "isotonic":
            return fit_isotonic(p_a, outcome)
    return _keep_probabilities


def _keep_probabilities(p_a: Float64) -> Float64:
    return p_a


def _calibrate_out_of_fold(name: str, p_a: Float64, outcome: Float64) -> Float64:
    """Calibrate each probability by a map that did not see its label, float64[L]."""
    fold = np.random.default_rng(0).permutation(len(p_a)) % FOLDS
    calibrated = p_a.copy()
    for k in range(min(FOLDS, len(p_a)) if len(p_a) > 1 else 0):
        rest = fold != k
        calibrated[~rest] = _fit_calibration(name, p_a[rest], outcome[rest])(p_a[~rest])
    return calibrated
