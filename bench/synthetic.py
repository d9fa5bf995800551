"""Synthetic panels with known truth: abilities recovered, probabilities calibrated, guarantee kept.

The generator is not the panel's own model: a judge sees the truth plus Gaussian errors, some shared by its
group, some by its two orders; ties come from a dead zone, and missing votes at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.annotators.majority import fit as fit_majority
from curate.aggregate.annotators.one_coin import fit as fit_one_coin
from curate.aggregate.annotators.panel import fit as fit_panel
from curate.aggregate.calibration import compute_calibration_error
from curate.aggregate.votes import Votes
from curate.stats.guarantee import certify_threshold

LOGISTIC_SD = np.pi / np.sqrt(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """`groups` 0: no shared errors; `shared`: share of a judge's error variance that its group has in
    common."""

    pairs: int
    judges: int
    groups: int
    shared: float
    missing: float
    dead_zone: float
    position_sd: float
    low: float = -0.5
    high: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthetic:
    """`truth` in -1, 1 [Q]; `ability`, `position` [A] as log-odds, measured on the votes themselves given the
    truth."""

    votes: Votes
    truth: NDArray[np.float64]
    ability: NDArray[np.float64]
    position: NDArray[np.float64]


def draw(design: Design, rng: np.random.Generator) -> Synthetic:
    q, j = design.pairs, design.judges
    truth = np.where(rng.random(q) < 0.5, -1.0, 1.0)
    skill, lean = rng.uniform(design.low, design.high, j), rng.normal(0, design.position_sd, j)
    group = rng.integers(0, design.groups, j) if design.groups else np.arange(j)
    shared = design.shared if design.groups else 0.0
    common = rng.standard_normal((q, group.max() + 1))[:, group]
    own = rng.standard_normal((q, j))
    sides = []
    for shown in (1, -1):
        noise = np.sqrt(shared) * common + np.sqrt((1 - shared) / 2) * (own + rng.standard_normal((q, j)))
        seen = skill * truth[:, None] + shown * lean + LOGISTIC_SD * noise
        sides.append(np.where(np.abs(seen) < design.dead_zone, 0, np.sign(seen)))
    outcome = np.stack(sides, axis=2)
    asked = rng.random(outcome.shape) >= design.missing
    pair, judge, side = np.nonzero(asked)
    x = outcome[pair, judge, side]
    votes = Votes(
        offsets=2 * np.arange(q + 1, dtype=np.int64),
        prompt=pair.astype(np.int32),
        a=(2 * pair).astype(np.int32),
        b=(2 * pair + 1).astype(np.int32),
        annotator=judge.astype(np.int32),
        shown=(1 - 2 * side).astype(np.int8),
        outcome=x.astype(np.int8),
        p_a=((x + 1) / 2).astype(np.float32),
        annotators=tuple(f"judge-{i:02d}" for i in range(j)),
        human=np.zeros(j, np.bool_),
    )
    ability, position = _empirical(votes, truth, j)
    return Synthetic(votes=votes, truth=truth, ability=ability, position=position)


def _empirical(
    votes: Votes, truth: NDArray[np.float64], judges: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log-odds of a right vote shown either way: their mean is the ability, half their difference the
    lean."""
    right = votes.outcome * truth[votes.prompt]
    odds = []
    for first in (1, -1):
        mine = votes.shown * truth[votes.prompt] == first
        good = np.bincount(votes.annotator[mine & (right > 0)], minlength=judges) + 0.5
        bad = np.bincount(votes.annotator[mine & (right < 0)], minlength=judges) + 0.5
        odds.append(np.log(good / bad))
    return (odds[0] + odds[1]) / 2, (odds[0] - odds[1]) / 2


DESIGNS = {
    "independent": Design(
        pairs=3000, judges=8, groups=0, shared=0, missing=0.1, dead_zone=0.2, position_sd=0.5
    ),
    "60 % missing": Design(
        pairs=3000, judges=12, groups=0, shared=0, missing=0.6, dead_zone=0.2, position_sd=0.5
    ),
    "4 groups": Design(
        pairs=3000, judges=12, groups=4, shared=0.5, missing=0.3, dead_zone=0.2, position_sd=0.5
    ),
    "5 groups": Design(
        pairs=3000, judges=20, groups=5, shared=0.5, missing=0.3, dead_zone=0.4, position_sd=1.0
    ),
}


def report(panels: int = 5, draws: int = 500) -> None:
    """Recovery and calibration over `panels` panels a design; the guarantee over `draws` label draws."""
    print("\nSynthetic panels, means over panels")
    for name, design in DESIGNS.items():
        rows = []
        for seed in range(panels):
            made = draw(design, np.random.default_rng(seed))
            fit = fit_panel(made.votes)
            truth = made.truth[fit.prompt]
            outcome = (1 + truth) / 2
            rows.append(
                (
                    accuracy(fit_majority(made.votes).p_a, truth),
                    accuracy(fit_one_coin(made.votes).p_a, truth),
                    accuracy(fit.p_a, truth),
                    compute_calibration_error(fit.p_a, outcome),
                    float(np.sqrt(np.mean((fit.ability - made.ability) ** 2))),
                    float(np.sqrt(np.mean((fit.position_bias - made.position) ** 2))),
                    float(len(fit.warnings) > 0),
                )
            )
        majority, one_coin, panel, ece, ability, position, doubts = np.mean(rows, axis=0)
        print(
            f"  {name:13s} majority {majority:.3f}  one-coin {one_coin:.3f}  panel {panel:.3f}  "
            f"ECE {ece:.3f}  rmse of ability {ability:.2f}, of position bias {position:.2f}  "
            f"doubts in {doubts:.0%}",
            flush=True,
        )
    guarantee_report(draws)


def guarantee_report(draws: int, alpha: float = 0.1, delta: float = 0.1) -> None:
    """A fresh panel of 1,000 weak pairs and fresh labels each draw; the target is the pairs' own
    disagreement."""
    design = Design(
        pairs=1000, judges=5, groups=0, shared=0, missing=0.3, dead_zone=0.2, position_sd=0.5, high=1.5
    )
    kept, shares = 0, []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        made = draw(design, rng)
        p_a = fit_one_coin(made.votes).p_a
        confidence, agrees = (
            np.maximum(p_a, 1 - p_a),
            np.sign(p_a - 0.5) == made.truth[np.unique(made.votes.prompt)],
        )
        chosen = np.sort(rng.permutation(len(p_a))[:200])
        found = certify_threshold(confidence, chosen, agrees[chosen], alpha=alpha, delta=delta)
        accepted = confidence >= found.threshold
        kept += not accepted.any() or float(np.mean(~agrees[accepted])) <= alpha
        shares.append(float(accepted.mean()))
    print(
        f"  guarantee     disagreement ≤ {alpha} in {kept / draws:.1%} of {draws} fresh panels with 200 "
        f"labels (promised {1 - delta:.0%}); accepted {np.mean(shares):.1%} on average"
    )


def accuracy(p_a: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    return float(np.mean(np.where(p_a == 0.5, 0.5, np.sign(p_a - 0.5) == truth)))
