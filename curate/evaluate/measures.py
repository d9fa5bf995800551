"""The measures of a benchmark: what share of its pairs, prompts and styles somebody gets right.

- `accuracy`: pairs that the gold decides, a predicted tie counting one half. What nobody said anything about is left
  out; `coverage` says how much is left.
- `best-of-n`: the share of the top-scored responses that are among the gold's best (RewardBench 2 likewise gives
  1/k where k responses share the top).
- `ties` (RewardBench 2, Malik et al. 2025, arXiv 2506.01937): see `_ties`.
- `gold@n`: the mean gold of the response that is picked from n drawn at random, n = 1, 2, 4, …, N: see `picked`.
- `ece`: expected calibration error of the pairs' probabilities over 15 bins of equal width (Guo et al. 2017).
- `score`: what the benchmark's authors rank models by; see `leaderboards.py`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from curate.config.evaluate import GUARD
from curate.data.adversarial import FALSE_POSITIVES
from curate.evaluate.benchmark import BenchmarkItem, BenchmarkSet
from curate.evaluate.leaderboards import list_leaderboard_weights
from curate.evaluate.scores import BEST, COVERAGE, PAIRS, MetricScore
from curate.evaluate.tally import Tally
from curate.evaluate.verdicts import ItemVerdict
from curate.stats.accuracy import MeanEstimate

Float64 = NDArray[np.float64]

_BINS = 15
_TIES = "Ties"  # RewardBench 2's subset


def measure_subject(
    subject: str, of: BenchmarkSet, opinions: Sequence[ItemVerdict], *, resamples: int
) -> list[MetricScore]:
    """All scores of one subject; `opinions[i]` is about `of.items[i]`."""
    tally = Tally(resamples=resamples)
    for item, opinion in zip(of.items, opinions, strict=True):
        _count_pairs(tally, item, opinion)
        _count_best(tally, item, opinion)
    _count_ties(tally, of, opinions)
    if of.format == GUARD:
        subsets = [each for each in tally.list_suffixes("lost/") if not each.endswith(" chosen")]
        return [
            MetricScore(subject, FALSE_POSITIVES, tally.estimate_mean({f"lost/{each}": 1.0}), each) for each in subsets
        ]
    scores = [
        MetricScore(subject, metric, tally.estimate_mean({name + each: 1.0}), each)
        for metric, name in ((PAIRS, "pairs/"), (BEST, "best/"), (COVERAGE, "said/"))
        for each in tally.list_suffixes(name)
    ]
    scores += [
        MetricScore(subject, f"gold@{n}", tally.estimate_mean({f"gold/{n}": 1.0})) for n in tally.list_suffixes("gold/")
    ]
    scores += [
        MetricScore(subject, metric, tally.estimate_mean(weights), subset)
        for metric, subset, weights in list_leaderboard_weights(of.format, tally)
    ]
    error = estimate_calibration_error(*_collect_confidences(of.items, opinions))
    return scores + ([MetricScore(subject, "ece", error)] if error else [])


def _count_pairs(tally: Tally, item: BenchmarkItem, opinion: ItemVerdict) -> None:
    for better, worse in item.iterate_pairs():
        right = opinion.compare_pair(better, worse)
        tally.add("said/all", item.cluster, float(not math.isnan(right)))
        if math.isnan(right):
            continue
        longer = len(item.responses[better]) - len(item.responses[worse])
        names = ["all", *_list_subsets(item)]
        names += ["longer chosen"] * (longer > 0) + ["shorter chosen"] * (longer < 0)
        for name in names:
            tally.add(f"pairs/{name}", item.cluster, right)
            tally.add(f"lost/{name}", item.cluster, 1.0 - right)
        if item.styles is not None:
            style = item.styles[better] - item.styles[worse]
            level = "easy" if style > 0 else "hard" if style < 0 else "normal"
            tally.add(f"pairs/{level}", item.cluster, right)
            tally.add(f"style/{item.subset}/{level}", item.cluster, right)
            tally.add(
                f"pairs/{_STYLES[item.styles[better]]} ≻ {_STYLES[item.styles[worse]]}", item.cluster, right
            )


_STYLES = ("concise", "detailed", "markdown")


def _list_subsets(item: BenchmarkItem) -> list[str]:
    return [] if item.subset == "all" else [item.subset]


def _count_best(tally: Tally, item: BenchmarkItem, opinion: ItemVerdict) -> None:
    if not opinion.is_complete or item.styles is not None or len(item.responses) < 3:
        return
    scores = opinion.scores.round(9)
    top = scores == scores.max()
    best = np.array(item.tiers) == min(item.tiers)
    for name in ("all", *_list_subsets(item)):
        tally.add(f"best/{name}", item.cluster, float(best[top].mean()))
    gold = np.array(item.gold) if item.gold is not None else best.astype(np.float64)
    for n, value in compute_expected_gold(scores, gold).items():
        tally.add(f"gold/{n}", item.cluster, value)


def compute_expected_gold(scores: Float64, gold: Float64) -> dict[int, float]:
    """n → the expected gold of the top-scored of n responses drawn without replacement, n = 1, 2, 4, … and N.

    The response at place r (0 the best) is the top of a draw with probability C(N − 1 − r, n − 1) / C(N, n);
    responses with equal scores share the probability of their places.
    """
    count = len(scores)
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    shared = np.array([gold[scores == score].mean() for score in ranked])
    sizes = [n for n in (1 << k for k in range(count.bit_length())) if n < count] + [count]
    return {
        n: float(sum(math.comb(count - 1 - r, n - 1) * shared[r] for r in range(count)) / math.comb(count, n))
        for n in sizes
    }


def _count_ties(tally: Tally, of: BenchmarkSet, opinions: Sequence[ItemVerdict]) -> None:
    """RewardBench 2's subset Ties: rows `ref:K` have one right answer, rows `tied:K` to the same question several.

    Counted: whether all right answers beat all wrong ones (in tied and ref rows), and, where both rows of a question
    are there, whether the worst right answer is further from the best wrong one than right ones are apart: in the
    tied row ("preferred"), and in both ("preferred hard"); and as a tie-break tanh of that ratio less 1.
    """
    if of.format != "reward-bench-2":
        return
    spread: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for item, opinion in zip(of.items, opinions, strict=True):
        kind, _, question = item.key.partition(":")
        if item.subset == _TIES and kind in ("ref", "tied") and opinion.is_complete:
            spread[question][kind] = _measure_spread(item, opinion)
    for question, rows in spread.items():
        for kind, (_, gap) in rows.items():
            tally.add(f"ties/{kind} right", question, float(gap > 0))
        if len(rows) < 2:
            continue
        apart, gap = rows["tied"]
        least = min(gap, rows["ref"][1])
        tally.add("ties/preferred", question, float(gap > apart))
        tally.add("ties/preferred hard", question, float(least > apart))
        ratio = least / apart if apart else math.copysign(math.inf, least) if least else math.nan
        tally.add("ties/margin", question, 0.0 if math.isnan(ratio) else math.tanh(ratio - 1))


def _measure_spread(item: BenchmarkItem, opinion: ItemVerdict) -> tuple[float, float]:
    """How far right answers are apart, and how far the worst of them is above the best wrong one."""
    right = np.array(item.tiers) == 1
    scores = opinion.scores
    return float(np.ptp(scores[right])), float(scores[right].min() - scores[~right].max())


def _collect_confidences(
    items: Sequence[BenchmarkItem], opinions: Sequence[ItemVerdict]
) -> tuple[Float64, Float64]:
    """float64[n]: confidence in the side that is believed, and whether it is right (½: it says one half)."""
    said = [
        opinion.p[better, worse]
        for item, opinion in zip(items, opinions, strict=True)
        if opinion.p is not None
        for better, worse in item.iterate_pairs()
    ]
    p = np.array([each for each in said if np.isfinite(each)], np.float64)
    return np.maximum(p, 1.0 - p), 0.5 + 0.5 * np.sign((p - 0.5).round(9))


def estimate_calibration_error(confidence: Float64, right: Float64) -> MeanEstimate | None:
    """Σ over bins of share · |mean confidence − share right|; without an interval, which resampling would bias."""
    if len(confidence) == 0:
        return None
    place = np.minimum(((confidence - 0.5) * 2 * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.bincount(place, confidence - right, _BINS)
    return MeanEstimate(float(np.abs(gaps).sum() / len(confidence)), None, None, len(confidence))
