"""Find what the labels of a data set reward, as far as measurable features show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.core.progress import Track, no_progress
from curate.data.features import LENGTH, SURFACE, Family
from curate.data.rubric import Criterion, Rubric
from curate.rubric.labelled import LabelledPairs
from curate.rubric.measure import NamedFeature, measure_features, subtract_pairs
from curate.rubric.redundancy import Embed, compare_words
from curate.rubric.selection import (
    PairMatrix,
    Selection,
    SelectionOptions,
    predict_held_out,
    select_criteria,
    split_folds,
)
from curate.rubric.sparse import fit_dense
from curate.stats.accuracy import MeanEstimate, credit_pairs, estimate_mean
from curate.stats.intervals import wilson_interval

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_FEWEST_CLUSTERS = 10


@dataclass(frozen=True, slots=True)
class FeatureEvidence:
    """Evidence that the labels give of one feature.

    Attributes:
        name: Name in the library.
        text: A sentence that is true of a response with much of it.
        statement: What the labels reward of it, in words.
        phrase: What the response does that they reward.
        share: Share of the pairs that differ in which the better response does.
        family: length, format, style, content or fit.
        weight: Log-odds for a typical difference, given the other selected features; None: not selected.
        low: Lower bound of the 95 % interval of the weight.
        high: Upper bound.
        scale: The typical difference (root mean square).
        stability: Share of random halves of the prompts that picked the feature.
        wins: Share of the pairs that differ in which the better response has more of it.
        wins_low: Lower bound of its 95 % interval.
        wins_high: Upper bound.
        differ: Pairs whose responses differ in it.
        length_correlation: Correlation with length, over pairs; None where nothing varies.
        for_it: Pairs, at most three, in which the better response has what is rewarded.
        against_it: Pairs in which it is the worse one that has it.
    """

    name: str
    text: str
    statement: str
    phrase: str
    share: float
    family: Family
    weight: float | None
    low: float | None
    high: float | None
    scale: float
    stability: float
    wins: float
    wins_low: float
    wins_high: float
    differ: int
    length_correlation: float | None
    for_it: tuple[int, ...]
    against_it: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FeatureReport:
    """Report of what the labels reward.

    `accuracy`: what decides → share of held-out pairs that it gets right: `criteria` (the selected ones), `surface`
    (selected among length and format), `content` (selected among all others), `length` (its better direction),
    `longer` (the longer response) and `tempting` (the longer, better formatted one). `gain`: that of `criteria` over
    `length` and over `surface`, on the same pairs. `rows`: the pairs as rows of differences. `margin`: float64[n],
    log-odds of each pair by criteria that were selected and weighed without its prompt.
    """

    pairs: int
    prompts: int
    ties: int
    dropped: dict[str, int]
    by_prompt: bool
    evidence: tuple[FeatureEvidence, ...]
    accuracy: dict[str, MeanEstimate]
    gain: dict[str, MeanEstimate]
    rows: PairMatrix
    margin: Float64

    @property
    def selected(self) -> tuple[FeatureEvidence, ...]:
        """The selected features, the most influential first."""
        return tuple(row for row in self.evidence if row.weight is not None)


def report_features(
    pairs: LabelledPairs,
    features: Sequence[NamedFeature],
    options: SelectionOptions | None = None,
    *,
    embed: Embed | None = None,
    track: Track = no_progress,
) -> FeatureReport:
    """Measure features, select those that say which response is better, and hold them against length.

    Args:
        pairs: Labelled pairs, at least one.
        features: Features to choose from; `length` is measured in any case.
        options: How criteria are selected; default: as `SelectionOptions` says.
        embed: Says how alike sentences are, where they are selected by coding rate; default: words in common.
        track: Shows progress.
    """
    chosen_options = options or SelectionOptions()
    differences = subtract_pairs(pairs, measure_features(pairs, features, track=track))
    likeness = None
    if chosen_options.method == "coding-rate":
        likeness = compare_words([named.feature.sentence for named in features], embed)
    matrix = build_matrix(pairs, differences, likeness)
    selection = select_criteria(matrix, chosen_options)
    longer = pairs.lengths[pairs.chosen] - pairs.lengths[pairs.rejected]
    margin = predict_held_out(matrix, chosen_options)
    accuracy, gain = _measure_accuracy(matrix, margin, features, longer, chosen_options)
    decided = pairs.p_chosen != 0.5
    return FeatureReport(
        pairs=len(pairs),
        prompts=len(set(pairs.prompt.tolist())),
        ties=int((~decided).sum()),
        dropped=dict(pairs.dropped),
        by_prompt=_has_prompts(pairs),
        evidence=_gather_evidence(matrix, selection, features, longer),
        accuracy=accuracy,
        gain=gain,
        rows=matrix,
        margin=margin,
    )


def build_matrix(pairs: LabelledPairs, differences: Float64, likeness: Float64 | None = None) -> PairMatrix:
    """Return the pairs as rows of differences; with few prompts, every pair is drawn by itself."""
    cluster = pairs.prompt if _has_prompts(pairs) else np.arange(len(pairs), dtype=np.int64)
    return PairMatrix(differences, pairs.p_chosen, pairs.weight, cluster, likeness)


def build_rubric(report: FeatureReport, *, name: str, source: str, about: str | None = None) -> Rubric | None:
    """Return the selected features as a rubric; None where none was selected."""
    if not report.selected:
        return None
    criteria = [
        Criterion(
            name=_make_slug(row.name),
            text=row.text,
            kind="feature",
            weight=round(row.weight or 0.0, 4),
            reason=row.statement,
            feature=row.name,
            scale=float(f"{row.scale:.6g}"),
        )
        for row in report.selected
    ]
    return Rubric(name=name, about=about, sources=(source,), criteria=tuple(criteria))


def keep_evidence(report: FeatureReport, pairs: LabelledPairs) -> dict[str, dict[str, Any]]:
    """Return what a rubric's row keeps as evidence: counts and ids of two pairs, by the names of its criteria."""

    def identify(listed: tuple[int, ...]) -> list[str] | None:
        if not listed:
            return None
        sides = [int(pairs.chosen[listed[0]]), int(pairs.rejected[listed[0]])]
        better, worse = sides if pairs.p_chosen[listed[0]] >= 0.5 else reversed(sides)
        return [pairs.response_ids[better], pairs.response_ids[worse]]

    kept = {}
    for row in report.selected:
        more, less = (
            (row.for_it, row.against_it) if (row.weight or 0.0) >= 0.0 else (row.against_it, row.for_it)
        )
        won = round(row.wins * row.differ)
        kept[_make_slug(row.name)] = {
            "won": won,
            "lost": row.differ - won,
            "won_example": identify(more),
            "lost_example": identify(less),
        }
    return kept


def _has_prompts(pairs: LabelledPairs) -> bool:
    return len(set(pairs.prompt.tolist())) >= _FEWEST_CLUSTERS


def _make_slug(name: str) -> str:
    kept = "".join(
        char if char.isascii() and char.isalnum() else "-" for char in name.rpartition(":")[2].lower()
    )
    return "-".join(piece for piece in kept.split("-") if piece)[:80] or "feature"


def _measure_accuracy(
    matrix: PairMatrix,
    margin: Float64,
    features: Sequence[NamedFeature],
    longer: Float64,
    options: SelectionOptions,
) -> tuple[dict[str, MeanEstimate], dict[str, MeanEstimate]]:
    """Measure what each way to decide gets right on pairs whose prompts it has not seen."""
    is_surface = np.array([named.feature.family in SURFACE for named in features], np.bool_)
    tempts = np.array([named.feature.tempts for named in features], np.float64)
    scale = np.sqrt((np.nan_to_num(matrix.differences) ** 2).mean(axis=0))
    scale[scale == 0.0] = 1.0
    margins = {
        "criteria": margin,
        "surface": predict_held_out(matrix.take_columns(is_surface), options),
        "content": predict_held_out(matrix.take_columns(~is_surface), options),
        "length": _predict_by_length(matrix, longer, options),
        "longer": longer,
        "tempting": (np.nan_to_num(matrix.differences) / scale) @ tempts,
    }
    decided = matrix.p_chosen != 0.5
    if not decided.any():
        return {}, {}
    sign = np.sign(matrix.p_chosen[decided] - 0.5)
    cluster = matrix.cluster[decided]
    credit = {name: credit_pairs(values[decided] * sign) for name, values in margins.items()}
    accuracy = {
        name: estimate_mean(values, cluster, resamples=options.resamples) for name, values in credit.items()
    }
    gain = {
        other: estimate_mean(credit["criteria"] - credit[other], cluster, resamples=options.resamples)
        for other in ("length", "surface")
    }
    return accuracy, gain


def _predict_by_length(matrix: PairMatrix, longer: Float64, options: SelectionOptions) -> Float64:
    """Return the margin by length alone, in the direction that the other folds prefer."""
    margin = np.zeros(len(longer))
    for held_out in split_folds(matrix.cluster, options.folds, options.seed):
        rest = ~held_out
        weight = fit_dense(longer[rest, None], matrix.p_chosen[rest], matrix.weight[rest])
        margin[held_out] = longer[held_out] * weight[0]
    return margin


def _gather_evidence(
    matrix: PairMatrix, selection: Selection, features: Sequence[NamedFeature], longer: Float64
) -> tuple[FeatureEvidence, ...]:
    """Build a row for each feature: the selected ones by influence, then the others by stability."""
    place = {int(column): rank for rank, column in enumerate(selection.chosen)}
    rest = [column for column in np.argsort(-selection.frequency, kind="stable") if int(column) not in place]
    return tuple(
        _gather_one(int(column), place.get(int(column)), matrix, selection, features, longer)
        for column in [*selection.chosen, *rest]
    )


def _gather_one(
    column: int,
    rank: int | None,
    matrix: PairMatrix,
    selection: Selection,
    features: Sequence[NamedFeature],
    longer: Float64,
) -> FeatureEvidence:
    named = features[column]
    toward = np.nan_to_num(matrix.differences[:, column]) * np.sign(matrix.p_chosen - 0.5)
    won, lost = int((toward > 0).sum()), int((toward < 0).sum())
    low, high = wilson_interval(won, won + lost)
    weight = None if rank is None else float(selection.weights[rank])
    is_more = (weight if weight is not None else won - lost) >= 0
    feature = named.feature
    phrase = feature.more if is_more else feature.less or f"does not: {feature.more}"
    share = (won if is_more else lost) / (won + lost) if won + lost else 0.5
    order = np.argsort(-np.abs(toward), kind="stable")
    rewarded = toward[order] * (1.0 if is_more else -1.0)
    return FeatureEvidence(
        name=named.name,
        text=named.feature.sentence,
        statement=describe_feature(phrase, share, won + lost),
        phrase=phrase,
        share=share,
        family=named.feature.family,
        weight=weight,
        low=None if rank is None else float(selection.low[rank]),
        high=None if rank is None else float(selection.high[rank]),
        scale=float(selection.scale[column]),
        stability=float(selection.frequency[column]),
        wins=won / (won + lost) if won + lost else 0.5,
        wins_low=low,
        wins_high=high,
        differ=won + lost,
        length_correlation=None
        if named.name == LENGTH
        else correlate(toward, longer * np.sign(matrix.p_chosen - 0.5)),
        for_it=tuple(int(row) for row in order[rewarded > 0][:3]),
        against_it=tuple(int(row) for row in order[rewarded < 0][:3]),
    )


def describe_feature(phrase: str, share: float, differ: int) -> str:
    """Say in a sentence what the labels reward of a feature.

    Args:
        phrase: What the response does that they reward.
        share: Share of the pairs that differ in which the better response does.
        differ: Pairs that differ.
    """
    if not differ:
        return f"No pair tells whether a response that {phrase} is better: none differ in it."
    sentence = (
        f"The response that {phrase} is better in {share:.0%} of the {differ:,} pairs that differ in it"
    )
    return (
        f"{sentence}." if share >= 0.5 else f"{sentence}: more often, once the other criteria are held equal."
    )


def correlate(first: Float64, second: Float64) -> float | None:
    """Return the correlation of differences about 0, since the order of a pair is arbitrary; None: one is all 0."""
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / size) if size > 0.0 else None
