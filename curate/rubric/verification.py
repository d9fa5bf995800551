"""Verify criteria: do their verdicts agree with labels they have not seen, and do they say anything of their own?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.config.rubric import RubricVerification
from curate.rubric.feature_report import correlate
from curate.rubric.lint import restates_label
from curate.rubric.matrix import CriterionMatrix
from curate.rubric.redundancy import Embed, Repeat, find_repeats
from curate.rubric.selection import split_folds
from curate.stats.accuracy import MeanEstimate, credit_pairs, estimate_mean

Float64 = NDArray[np.float64]

_RESAMPLES = 1000
_FOLDS = 5
_KNOWS_LABEL = 0.98  # consistency from which a verifier must be suspected of having seen the label
_WITH_LENGTH = 0.5


@dataclass(frozen=True, slots=True)
class CriterionCheck:
    """Worth of the verdicts on one criterion.

    Attributes:
        name: Its name.
        text: Its sentence.
        weight: What it counts in the rubric.
        coverage: Share of the decided pairs of which it tells the two responses apart.
        apart: Number of these pairs.
        consistency: Share of them in which the better response has it (has it less, where the weight is negative).
        accuracy: Share of all decided pairs that it gets right; one that it does not tell apart counts one half.
        length_correlation: Correlation with length over pairs.
        failed: Verdicts that failed.
        people: Responses on which people and the verifier agree, and all that both judged.
        leaks: It says which response is better in place of why.
        repeats: Name of the criterion that it repeats, with the likeness and what of.
        problem: Why it is dropped; None: it is kept.
        remarks: What else to know of it.
    """

    name: str
    text: str
    weight: float
    coverage: float
    apart: int
    consistency: MeanEstimate | None
    accuracy: MeanEstimate
    length_correlation: float | None
    failed: int
    people: tuple[int, int] | None
    leaks: bool
    repeats: tuple[str, float, str] | None
    problem: str | None
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RubricCheck:
    """Worth of a rubric: all of it, what is kept of it, and length, on the same pairs.

    `accuracy`: rubric, kept, longer → share of decided pairs that are right. What is kept is decided on other prompts
    than it is measured on. `gain`: `kept` over the better direction of length. Weights are the rubric's own.
    """

    pairs: int
    prompts: int
    ties: int
    criteria: tuple[CriterionCheck, ...]
    accuracy: dict[str, MeanEstimate]
    gain: MeanEstimate


def verify_criteria(
    matrix: CriterionMatrix, options: RubricVerification | None = None, *, embed: Embed | None = None
) -> RubricCheck:
    """Verify criteria on pairs whose labels none of their verdicts has seen.

    Args:
        matrix: Verdicts on the criteria beside the labels; at least one pair must be decided.
        options: From when a criterion is dropped.
        embed: Makes vectors of sentences, to find criteria that say the same in other words.
    """
    limits = options or RubricVerification()
    signs = np.array([-1.0 if criterion.weight < 0.0 else 1.0 for criterion in matrix.criteria])
    weights = np.array([criterion.weight for criterion in matrix.criteria])
    decided = matrix.pairs.p_chosen != 0.5
    toward = matrix.toward[decided] * signs
    cluster = matrix.rows.cluster[decided]
    longer = (matrix.longer * np.sign(matrix.pairs.p_chosen - 0.5))[decided]
    credit = credit_pairs(toward)
    order = np.argsort(-credit.mean(axis=0), kind="stable")
    texts = [criterion.text for criterion in matrix.criteria]
    repeats = find_repeats(
        matrix.differences, texts, [int(column) for column in order], threshold=limits.redundancy, embed=embed
    )
    checks = tuple(
        _check_one(column, matrix, toward, longer, cluster, repeats.get(column), limits)
        for column in range(len(matrix.criteria))
    )
    excluded = np.array([check.leaks or check.repeats is not None for check in checks], np.bool_)
    margins = {
        "rubric": toward @ np.abs(weights),
        "kept": _compute_kept_margin(toward, np.abs(weights), excluded, cluster, limits),
        "longer": longer,
    }
    credits = {name: credit_pairs(margin) for name, margin in margins.items()}
    best_length = credits["longer"] if credits["longer"].mean() >= 0.5 else 1.0 - credits["longer"]
    return RubricCheck(
        pairs=len(matrix.pairs),
        prompts=len(set(matrix.pairs.prompt.tolist())),
        ties=int((~decided).sum()),
        criteria=checks,
        accuracy={
            name: estimate_mean(values, cluster, resamples=_RESAMPLES) for name, values in credits.items()
        },
        gain=estimate_mean(credits["kept"] - best_length, cluster, resamples=_RESAMPLES),
    )


def _compute_kept_margin(
    toward: Float64,
    size: Float64,
    excluded: NDArray[np.bool_],
    cluster: NDArray[np.int64],
    limits: RubricVerification,
) -> Float64:
    """Return the margin of each pair by the criteria that are kept according to the pairs of other prompts.

    Args:
        toward: float64[n, d] differences toward the better response, as each criterion has it.
        size: float64[d] weights without sign.
        excluded: bool[d] criteria that are dropped for what they say, whatever the labels are.
        cluster: int64[n] what is held out as a whole.
        limits: From when a criterion is dropped.
    """
    margin = np.zeros(len(toward))
    for held_out in split_folds(cluster, _FOLDS, 0):
        rest = toward[~held_out]
        apart = (rest != 0.0).sum(axis=0)
        agrees = (rest > 0.0).sum(axis=0) / np.maximum(apart, 1)
        sound = (apart >= limits.coverage * max(1, len(rest))) & (agrees >= limits.consistency) & (apart > 0)
        kept = sound & ~excluded
        margin[held_out] = toward[np.ix_(held_out, kept)] @ size[kept]
    return margin


def _check_one(
    column: int,
    matrix: CriterionMatrix,
    toward: Float64,
    longer: Float64,
    cluster: NDArray[np.int64],
    repeat: Repeat | None,
    limits: RubricVerification,
) -> CriterionCheck:
    criterion, values = matrix.criteria[column], toward[:, column]
    apart = values != 0.0
    consistency = (
        estimate_mean((values[apart] > 0.0).astype(np.float64), cluster[apart], resamples=_RESAMPLES)
        if (apart.any())
        else None
    )
    leaks = criterion.kind != "feature" and restates_label(criterion.text)
    correlation = correlate(values, longer)
    people = matrix.people.get(criterion.name)
    repeats = None if repeat is None else (matrix.criteria[repeat.of].name, repeat.likeness, repeat.by)
    failed = matrix.failed.get(criterion.name, 0)
    return CriterionCheck(
        name=criterion.name,
        text=criterion.text,
        weight=criterion.weight,
        coverage=float(apart.mean()),
        apart=int(apart.sum()),
        consistency=consistency,
        accuracy=estimate_mean(credit_pairs(values), cluster, resamples=_RESAMPLES),
        length_correlation=correlation,
        failed=failed,
        people=people,
        leaks=leaks,
        repeats=repeats,
        problem=_find_problem(consistency, float(apart.mean()), leaks=leaks, repeats=repeats, limits=limits),
        remarks=tuple(_list_remarks(consistency, correlation, failed, people)),
    )


def _find_problem(
    consistency: MeanEstimate | None,
    coverage: float,
    *,
    leaks: bool,
    repeats: tuple[str, float, str] | None,
    limits: RubricVerification,
) -> str | None:
    if leaks:
        return "restates the label"
    if consistency is None or coverage < limits.coverage:
        return f"tells the responses apart in {coverage:.1%} of the pairs only"
    if consistency.value < limits.consistency:
        return f"agrees with {consistency.value:.0%} of the labels, less than {limits.consistency:.0%}"
    if repeats is not None:
        return f"repeats {repeats[0]} ({repeats[2]} alike by {repeats[1]:.2f})"
    return None


def _list_remarks(
    consistency: MeanEstimate | None, correlation: float | None, failed: int, people: tuple[int, int] | None
) -> list[str]:
    remarks = []
    if (
        consistency is not None
        and consistency.low is not None
        and consistency.low <= 0.5 <= consistency.value
    ):
        remarks.append("may agree with labels by chance")
    if consistency is not None and consistency.high is not None and consistency.high < 0.5:
        remarks.append("agrees with fewer labels than by chance: a weight of the other sign would use it")
    if consistency is not None and consistency.value >= _KNOWS_LABEL and consistency.n >= 50:
        remarks.append("agrees with nearly every label: make sure that the verifier has not seen them")
    if correlation is not None and abs(correlation) >= _WITH_LENGTH:
        remarks.append(f"goes with length ({correlation:+.2f})")
    if failed:
        remarks.append(f"{failed:,} verdicts failed")
    if people is not None and people[1]:
        remarks.append(f"people agree with {people[0]:,} of {people[1]:,} verdicts")
    return remarks
