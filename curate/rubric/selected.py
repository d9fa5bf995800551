"""Rubrics of the criteria that stay: those that are sound, or the few that predict, with weights and reasons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from curate.data.rubric import Criterion, Rubric
from curate.rubric.matrix import CriterionMatrix
from curate.rubric.redundancy import Embed, compare_words
from curate.rubric.selection import SelectionOptions, predict_held_out, select_criteria
from curate.rubric.verification import RubricCheck
from curate.rubric.wording import format_estimate
from curate.stats.accuracy import MeanEstimate, credit_pairs, estimate_mean


@dataclass(frozen=True, slots=True)
class SelectedCriterion:
    """A criterion that was selected; `weight` is the log-odds for a response that has it against one that has not."""

    name: str
    weight: float
    low: float
    high: float
    stability: float
    coverage: float
    consistency: float


@dataclass(frozen=True, slots=True)
class SelectedRubric:
    """A rubric of the few criteria that predict; `rubric` is None where nothing was selected.

    `accuracy`: share of pairs that are right, of `criteria` (selected and weighed without the prompts that they are
    measured on) and of `longer` (length, in the direction that is better here). `margin`: float64[n], log-odds of each
    pair by criteria that were selected and weighed without its prompt.
    """

    pairs: int
    proposed: int
    rows: tuple[SelectedCriterion, ...]
    accuracy: dict[str, MeanEstimate]
    gain: MeanEstimate
    findings: tuple[str, ...]
    rubric: Rubric | None
    margin: NDArray[np.float64]


def keep_criteria(matrix: CriterionMatrix, check: RubricCheck, *, name: str, source: str) -> Rubric | None:
    """Return the rubric of the criteria that verification keeps, with their own weights; None: none."""
    kept = [
        criterion
        for criterion, row in zip(matrix.criteria, check.criteria, strict=True)
        if row.problem is None
    ]
    return Rubric(name=name, sources=(source,), criteria=tuple(kept)) if kept else None


def select_rubric_criteria(
    matrix: CriterionMatrix,
    options: SelectionOptions,
    *,
    name: str,
    source: str,
    embed: Embed | None = None,
) -> SelectedRubric:
    """Select the few criteria that together say which response is better.

    Args:
        matrix: Verdicts on criteria beside labels.
        options: How many, and how sure.
        name: Name of the rubric.
        source: Where labels and verdicts come from.
        embed: Says how alike sentences are, where they are selected by coding rate; default: words in common.
    """
    rows = matrix.rows
    if options.method == "coding-rate":
        rows = replace(rows, likeness=compare_words([one.text for one in matrix.criteria], embed))
    selection = select_criteria(rows, options)
    margin = predict_held_out(rows, options)
    decided = rows.p_chosen != 0.5
    sign = np.sign(rows.p_chosen - 0.5)[decided]
    longer = matrix.longer[decided] * sign
    if longer.size and credit_pairs(longer).mean() < 0.5:
        longer = -longer
    credit = {
        "criteria": credit_pairs(margin[decided] * sign),
        "longer": credit_pairs(longer),
    }
    cluster = rows.cluster[decided]
    accuracy = {key: estimate_mean(values, cluster, resamples=1000) for key, values in credit.items()}
    gain = estimate_mean(credit["criteria"] - credit["longer"], cluster, resamples=1000)
    toward = matrix.toward[decided]
    listed, criteria = [], []
    for column, weight, low, high in zip(
        selection.chosen, selection.weights, selection.low, selection.high, strict=True
    ):
        old, scale = matrix.criteria[column], float(selection.scale[column])
        unit = 1.0 if old.kind == "feature" else scale
        has = toward[:, column] * (1.0 if weight >= 0.0 else -1.0)
        apart = int((has != 0.0).sum())
        share = float((has > 0.0).sum() / max(1, apart))
        listed.append(
            SelectedCriterion(
                name=old.name,
                weight=float(weight / unit),
                low=float(low / unit),
                high=float(high / unit),
                stability=float(selection.frequency[column]),
                coverage=apart / max(1, len(toward)),
                consistency=share,
            )
        )
        criteria.append(_weigh_criterion(old, float(weight), scale, share, apart))
    rubric = Rubric(name=name, sources=(source,), criteria=tuple(criteria)) if criteria else None
    return SelectedRubric(
        pairs=len(matrix.pairs),
        proposed=len(matrix.criteria),
        rows=tuple(listed),
        accuracy=accuracy,
        gain=gain,
        findings=tuple(_list_findings(len(listed), len(matrix.criteria), accuracy, gain)),
        rubric=rubric,
        margin=margin,
    )


def _weigh_criterion(
    criterion: Criterion, weight: float, scale: float, share: float, apart: int
) -> Criterion:
    """Return a criterion with its weight, and a sentence that says what the labels say of it."""
    whose = "has it more" if weight >= 0.0 else "has it less"
    reason = (
        f"Of {apart:,} pairs that it tells apart, the response that {whose} is the better one in {share:.0%}."
    )
    if share < 0.5:
        reason = f"{reason[:-1]}: more often, once the other criteria are held equal."
    changes: dict[str, object] = {"reason": reason}
    if criterion.kind == "feature":
        changes |= {"weight": round(weight, 4), "scale": float(f"{(criterion.scale or 1.0) * scale:.6g}")}
    else:
        changes["weight"] = round(weight / scale, 4)
    return Criterion(**(criterion.model_dump() | changes))


def _list_findings(
    selected: int, proposed: int, accuracy: dict[str, MeanEstimate], gain: MeanEstimate
) -> list[str]:
    if not selected:
        return [f"None of {proposed} criteria says reliably which response is better."]
    criteria, length = (format_estimate(accuracy[name]) for name in ("criteria", "longer"))
    sentences = [
        f"{selected} of {proposed} criteria were selected.",
        f"Selected and weighed on other prompts, criteria get {criteria} of the pairs right.",
        f"Length in its better direction gets {length}: a difference of {format_estimate(gain, signed=True)}.",
    ]
    if gain.low is not None and gain.low <= 0.0:
        sentences.append("Warning: it has not been shown that the criteria say more than length does.")
    return sentences
