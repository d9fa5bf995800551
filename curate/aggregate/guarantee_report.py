"""What may be said about the labels, as rows and in words that promise no more than was shown."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from curate.aggregate.certify import Certification
from curate.aggregate.labelling import Labelling
from curate.aggregate.posterior import DIGITS
from curate.config.aggregate import AggregateSection, GuaranteeSection
from curate.stats.guarantee import Guarantee, certify_threshold


def build_guarantee_rows(found: Labelling, section: AggregateSection) -> list[dict[str, Any]]:
    """One row of the table `guarantees` per stratum; none where no guarantee was asked or nothing could be tested."""
    assessed = found.assessed
    if assessed is None or assessed.guarantee is None:
        return []
    tested_share = _get_tested_share(section)
    return [
        {
            "stratum": found.strata[k],
            "pairs": int(assessed.size[k]),
            "accepted": int(assessed.taken[k]),
            "threshold": _write_threshold(part, assessed),
            "alpha": part.alpha,
            "delta": part.delta,
            "labels": int(assessed.labels[k]),
            "tested": part.n,
            "errors": part.errors,
            "upper": _round_value(part.upper) if part.holds else None,
            "labels_needed": None
            if part.labels_needed is None
            else math.ceil(part.labels_needed / tested_share),
        }
        for k, part in assessed.parts
    ]


def build_assessment_row(found: Labelling, section: AggregateSection) -> dict[str, Any]:
    """The row of the table `assessments`."""
    assessed = found.assessed
    row: dict[str, Any] = {
        "holds": assessed is not None and assessed.holds,
        "labels": len(found.people),
        "learnt": found.learnt,
        "tested": 0,
        "drawn": found.people.known,
        "pairs": int(np.sum(found.graphs.direction != 0)),
        "accepted": int(found.accepted.sum()),
        "calibration": "none",
        "bin_confidence": [],
        "bin_accuracy": [],
        "bin_count": [],
    }
    if assessed is not None:
        error, diagram = assessed.error, assessed.diagram
        row |= {
            "delta": error.delta,
            "tested": assessed.tested,
            "pairs": int(assessed.pairs.sum()),
            "calibration": assessed.calibration,
            "ece_before": _round_value(assessed.ece_before),
            "ece": _round_value(assessed.ece),
            "bin_confidence": _round_values(diagram.confidence),
            "bin_accuracy": _round_values(diagram.accuracy),
            "bin_count": diagram.count.tolist(),
        }
        if assessed.tested:
            row |= {
                "error": _round_value(error.estimate),
                "error_low": _round_value(error.lower),
                "error_high": _round_value(error.upper),
            }
    return row | {"claim": _write_claim(found, section)}


def _write_claim(found: Labelling, section: AggregateSection) -> str:
    return " ".join(filter(None, [_write_guarantee_claim(found, section), found.choice]))


def _write_guarantee_claim(found: Labelling, section: AggregateSection) -> str:
    asked, assessed = section.guarantee, found.assessed
    if asked is None:
        return "No guarantee was asked for (`aggregate.guarantee` is null)."
    labels = f"{len(found.people):,} {'label' if len(found.people) == 1 else 'labels'} of people"
    if assessed is not None and assessed.holds:
        sentences = [_write_promise(found, assessed, asked)]
    else:
        unasked = len(found.case) - len(found.people)
        sentences = [_write_no_guarantee(labels, _write_labels_needed(found, section), unasked)]
    if assessed is not None and assessed.tested:
        error = assessed.error
        sentences.append(
            f"Of all {int(assessed.pairs.sum()):,} labels of the panel about {error.estimate:.1%} disagree with people "
            f"({1 - error.delta:.0%} interval {error.lower:.1%} to {error.upper:.1%})."
        )
    if len(found.people) and not found.people.known:
        sentences.append("This takes the labels of people for a random sample of all pairs.")
    return " ".join(sentences)


def _write_promise(found: Labelling, assessed: Certification, asked: GuaranteeSection) -> str:
    accepted, pairs = int(assessed.accepted.sum()), int(assessed.pairs.sum())
    parts = [part for _, part in assessed.parts if part.holds]
    tested, errors = sum(part.n for part in parts), sum(part.errors for part in parts)
    which = " where people see a difference" if asked.ties == "ignore" else ""
    where = ""
    if len(found.strata) > 1:
        where = f", in each of the {len(parts)} strata (of {len(assessed.parts)}) that have a threshold"
    return (
        f"Guarantee: {accepted:,} of {pairs:,} pairs ({accepted / pairs:.0%}) are accepted, and with confidence "
        f"{1 - asked.delta:.0%} at most {asked.alpha:.0%} of these labels disagree with people{which}{where} "
        f"({tested:,} of them tested, {errors:,} {'disagrees' if errors == 1 else 'disagree'})."
    )


def _write_no_guarantee(labels: str, needed: int | None, unasked: int) -> str:
    if needed is None:
        return (
            f"No guarantee: {labels}, and more would not help, since even the surest labels disagree with people too "
            "often: improve the panel, let the annotator model learn from people, or raise alpha."
        )
    if needed > unasked:
        return f"No guarantee: {labels}, and the {unasked:,} other pairs are too few for one."
    return f"No guarantee: {labels}, about {needed:,} more needed (drawn at random)."


def _write_labels_needed(found: Labelling, section: AggregateSection) -> int | None:
    """How many more labels, the annotator model's share of them included."""
    asked, assessed = section.guarantee, found.assessed
    assert asked is not None
    if assessed is not None and assessed.guarantee is not None:
        parts = [part.labels_needed for _, part in assessed.parts]
        needed = [n for n in parts if n is not None]
        return math.ceil(sum(needed) / _get_tested_share(section)) if needed or not parts else None
    none = np.zeros(0, np.int64)
    decided = found.confidence[found.graphs.direction != 0]
    first = certify_threshold(decided, none, none.astype(np.bool_), alpha=asked.alpha, delta=asked.delta)
    if first.labels_needed is None:
        return None if len(decided) else 0
    return max(math.ceil(first.labels_needed / _get_tested_share(section)) - int(found.people.drawn.sum()), 1)


def _get_tested_share(section: AggregateSection) -> float:
    """With `auto`, a model learns by the time that there are labels enough for a guarantee."""
    if section.annotator_model == "majority" or section.guarantee is None:
        return 1.0
    return 1.0 - section.guarantee.learn


def _write_threshold(part: Guarantee, assessed: Certification) -> float | None:
    """In the calibrated scale, which is that of the confidence in the table."""
    return _round_value(float(assessed.calibrate(np.array([part.threshold]))[0])) if part.holds else None


def _round_value(value: float) -> float:
    return round(float(value), DIGITS)


def _round_values(values: Any) -> list[float]:
    return [_round_value(value) for value in values]
