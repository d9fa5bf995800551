"""The rows of `guarantees` and `assessments`, and the sentence about the guarantee that is printed to the user."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from curate.aggregate.certify import Certification
from curate.aggregate.labelling import Labelling
from curate.aggregate.posterior import DIGITS, index_of_pairs
from curate.config.aggregate import AggregateSection, GuaranteeSection
from curate.stats.anytime import certify_anytime
from curate.stats.guarantee import Guarantee, certify_threshold


def build_guarantee_rows(labelling: Labelling) -> list[dict[str, Any]]:
    """Build one row of `guarantees` per stratum; none where no guarantee was asked for or nothing could be tested."""
    certification = labelling.certification
    if certification is None or certification.guarantee is None:
        return []
    tested_share = _get_tested_share(labelling)
    return [
        {
            "stratum": labelling.strata[k],
            "pairs": int(certification.pair_counts[k]),
            "accepted": int(certification.accepted_counts[k]),
            "threshold": _get_threshold(part, certification),
            "alpha": part.alpha,
            "delta": part.delta,
            "labels": int(certification.label_counts[k]),
            "tested": part.n,
            "errors": part.errors,
            "upper": _round_value(part.upper) if part.holds else None,
            "labels_needed": None
            if part.labels_needed is None
            else math.ceil(part.labels_needed / tested_share),
        }
        for k, part in certification.by_stratum
    ]


def build_assessment_row(labelling: Labelling, section: AggregateSection) -> dict[str, Any]:
    """Build the row of `assessments`, with the sentence for the user as `claim`."""
    certification = labelling.certification
    row: dict[str, Any] = {
        "holds": certification is not None and certification.holds,
        "labels": len(labelling.people),
        "learnt": labelling.n_learnt,
        "tested": 0,
        "drawn": labelling.people.is_random_sample,
        "pairs": int(np.sum(labelling.graphs.direction != 0)),
        "accepted": int(labelling.is_accepted.sum()),
        "calibration": "none",
        "bin_confidence": [],
        "bin_accuracy": [],
        "bin_count": [],
    }
    if certification is not None:
        error, diagram = certification.error, certification.diagram
        row |= {
            "delta": error.delta,
            "tested": certification.tested,
            "pairs": int(certification.pairs.sum()),
            "calibration": certification.calibration,
            "ece_before": _round_value(certification.ece_before),
            "ece": _round_value(certification.ece),
            "bin_confidence": _round_values(diagram.confidence),
            "bin_accuracy": _round_values(diagram.accuracy),
            "bin_count": diagram.count.tolist(),
        }
        if certification.tested:
            row |= {
                "error": _round_value(error.estimate),
                "error_low": _round_value(error.lower),
                "error_high": _round_value(error.upper),
            }
    return row | {"claim": _write_claim(labelling, section)}


def _write_claim(labelling: Labelling, section: AggregateSection) -> str:
    return " ".join(filter(None, [_write_guarantee_claim(labelling, section), labelling.model_choice]))


def _write_guarantee_claim(labelling: Labelling, section: AggregateSection) -> str:
    asked, certification = section.guarantee, labelling.certification
    if asked is None:
        return "No guarantee was asked for (`aggregate.guarantee` is null)."
    if certification is not None and certification.holds:
        sentences = [_write_promise(labelling, certification, asked)]
        sentences.append(_write_scope(labelling, asked))
    else:
        is_open = labelling.graphs.direction != 0
        is_open[index_of_pairs(labelling.people.pairs, labelling.posterior.tally)] = False
        unasked = int(np.count_nonzero(is_open))
        labels = _describe_labels(labelling, asked)
        sentences = [_write_no_guarantee(labels, _count_labels_needed(labelling, section), unasked)]
    if certification is not None and certification.tested:
        sentences.append(_write_error(labelling, certification))
    if len(labelling.people) and not labelling.people.is_random_sample:
        sentences.append("This takes the labels of people for a random sample of all pairs.")
    return " ".join(sentences)


def _describe_labels(labelling: Labelling, asked: GuaranteeSection) -> str:
    """Count the labels of people, and those among them that can test nothing."""
    people = labelling.people
    text = f"{len(people):,} {'label' if len(people) == 1 else 'labels'} of people"
    even = int(np.count_nonzero(people.verdict == 0))
    if not even or asked.ties == "disagree":
        return text
    return f"{text}, {even:,} of which {'takes no side and tests' if even == 1 else 'take no side and test'} nothing"


def _write_error(labelling: Labelling, certification: Certification) -> str:
    """Write how often the labels under test disagree with people, and which labels these are.

    Without a guarantee the labels of the lake learn from the verdicts too that tested others: those were not measured.
    """
    error, pairs = certification.error, int(certification.pairs.sum())
    interval = f"({1 - error.delta:.0%} interval {error.lower:.1%} to {error.upper:.1%})"
    if certification.holds or not labelling.n_learnt or not labelling.n_hidden:
        return f"Of all {pairs:,} labels of the panel about {error.estimate:.1%} disagree with people {interval}."
    learnt = labelling.n_learnt - labelling.n_hidden
    return (
        f"A panel that learns from {learnt:,} of the {labelling.n_learnt:,} labels disagrees with people on about "
        f"{error.estimate:.1%} of {pairs:,} pairs {interval}; the labels here learn from all {labelling.n_learnt:,}, "
        "and nothing has tested them."
    )


def _write_promise(labelling: Labelling, certification: Certification, asked: GuaranteeSection) -> str:
    accepted, pairs = int(certification.accepted.sum()), int(certification.pairs.sum())
    parts = [part for _, part in certification.by_stratum if part.holds]
    tested, errors = sum(part.n for part in parts), sum(part.errors for part in parts)
    which = " where people see a difference" if asked.ties == "ignore" else ""
    where = ""
    if len(labelling.strata) > 1:
        where = (
            f", in each of the {len(parts)} strata (of {len(certification.by_stratum)}) that have a threshold"
        )
    return (
        f"Guarantee: {accepted:,} of {pairs:,} pairs ({accepted / pairs:.0%}) are accepted, and with confidence "
        f"{1 - asked.delta:.0%} at most {asked.alpha:.0%} of these labels disagree with people{which}{where} "
        f"({tested:,} of them tested, {errors:,} {'disagrees' if errors == 1 else 'disagree'})."
    )


def _write_scope(labelling: Labelling, asked: GuaranteeSection) -> str:
    """Write for how many looks the promise holds."""
    memory = labelling.memory
    if memory is None:
        return "This holds for one look at the labels, not for the best of several."
    return (
        f"This holds at every look (look {memory.looks} at revision {memory.revision} of the labels): the chance that "
        f"any promise, past or to come, is false is {asked.delta:.0%} at most."
    )


def _write_no_guarantee(labels: str, needed: int | None, unasked: int) -> str:
    if needed == 0 or not unasked:
        return f"No guarantee: {labels}, and no other pair has a label to make a promise about."
    if needed is None:
        return (
            f"No guarantee: {labels}, and more would not help, since even the surest labels disagree with people too "
            "often: improve the panel, let the annotator model learn from people, or raise alpha."
        )
    if needed > unasked:
        which = f"the {unasked:,} other pairs are" if unasked > 1 else "the one other pair is"
        return (
            f"No guarantee: {labels}, and {which} likely too few for one: the labels that it takes would leave "
            "hardly any pair to promise something about."
        )
    return f"No guarantee: {labels}, about {needed:,} more needed (drawn at random)."


def _count_labels_needed(labelling: Labelling, section: AggregateSection) -> int | None:
    """Count the labels still needed, with the annotator model's share of them; None: more labels would not help."""
    asked, certification = section.guarantee, labelling.certification
    assert asked is not None
    if certification is not None and certification.guarantee is not None:
        parts = [part.labels_needed for _, part in certification.by_stratum]
        needed = [n for n in parts if n is not None]
        return math.ceil(sum(needed) / _get_tested_share(labelling)) if needed or not parts else None
    none = np.zeros(0, np.int64)
    decided = labelling.confidence[labelling.graphs.direction != 0]
    if asked.looks == "any":
        untested = certify_anytime(decided, none, none.astype(np.int8), alpha=asked.alpha, delta=asked.delta)
        first = untested.guarantee.strata[0]
    else:
        first = certify_threshold(decided, none, none.astype(np.bool_), alpha=asked.alpha, delta=asked.delta)
    if first.labels_needed is None:
        return None if len(decided) else 0
    share = _get_tested_share(labelling)
    return max(math.ceil(first.labels_needed / share) - int(labelling.people.is_drawn.sum()), 1)


def _get_tested_share(labelling: Labelling) -> float:
    """Return the share of labels to come that test the panel: all that take a side once a revision is under test.

    With `auto`, a model learns by the time that there are labels enough for a guarantee.
    """
    section, memory, people = labelling.section, labelling.memory, labelling.people
    if section.guarantee is None:
        return 1.0
    share = 1.0
    if section.guarantee.ties == "ignore" and len(people):
        share = (np.count_nonzero(people.verdict) + 1) / (len(people) + 1)
    if section.annotator_model_name == "majority" or (memory is not None and memory.revision):
        return share
    return share * (1.0 - section.guarantee.learn)


def _get_threshold(part: Guarantee, certification: Certification) -> float | None:
    """Return the threshold in the calibrated scale, as the confidence in the table is; None if nothing is certified."""
    return _round_value(float(certification.calibrate(np.array([part.threshold]))[0])) if part.holds else None


def _round_value(value: float) -> float:
    return round(float(value), DIGITS)


def _round_values(values: Any) -> list[float]:
    return [_round_value(value) for value in values]
