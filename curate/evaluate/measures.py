"""The measures of a benchmark: shares of its pairs, prompts and styles that a subject gets right.

- `accuracy`: of the pairs that the gold decides; a predicted tie counts one half. Pairs without a verdict are left
  out; `coverage` is the share of pairs with one.
- `best-of-n`: the share of the top-scored responses that are among the gold's best (RewardBench 2 likewise gives
  1/k where k responses share the top).
- `ties` (RewardBench 2, Malik et al. 2025, arXiv 2506.01937): see `_count_ties`.
- `gold@n`: the mean gold of the top-scored of n random responses, n = 1, 2, 4, …, N: see `compute_expected_gold`.
- `ece`: expected calibration error of the pairs' probabilities over 15 bins of equal width (Guo et al. 2017).
- `score`: the number by which the benchmark's authors rank models; see `leaderboards.py`.
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
    subject: str, benchmark: BenchmarkSet, verdicts: Sequence[ItemVerdict], *, resamples: int
) -> list[MetricScore]:
    """Compute all scores of one subject on a benchmark.

    Args:
        subject: Name of the subject.
        benchmark: The items.
        verdicts: The subject's verdict on each item.
        resamples: Bootstrap resamples of the prompts; 0: no intervals.
    """
    tally = Tally(resamples=resamples)
    for item, verdict in zip(benchmark.items, verdicts, strict=True):
        _count_pairs(tally, item, verdict)
        _count_best(tally, item, verdict)
    _count_ties(tally, benchmark, verdicts)
    if benchmark.format == GUARD:
        subsets = [subset for subset in tally.list_suffixes("lost/") if not subset.endswith(" chosen")]
        return [
            MetricScore(subject, FALSE_POSITIVES, tally.estimate_mean({f"lost/{subset}": 1.0}), subset)
            for subset in subsets
        ]
    scores = [
        MetricScore(subject, metric, tally.estimate_mean({prefix + subset: 1.0}), subset)
        for metric, prefix in ((PAIRS, "pairs/"), (BEST, "best/"), (COVERAGE, "said/"))
        for subset in tally.list_suffixes(prefix)
    ]
    scores += [
        MetricScore(subject, f"gold@{n}", tally.estimate_mean({f"gold/{n}": 1.0}))
        for n in tally.list_suffixes("gold/")
    ]
    scores += [
        MetricScore(subject, metric, tally.estimate_mean(weights), subset)
        for metric, subset, weights in list_leaderboard_weights(benchmark.format, tally)
    ]
    error = estimate_calibration_error(*_collect_confidences(benchmark.items, verdicts))
    return scores + ([MetricScore(subject, "ece", error)] if error else [])


def _count_pairs(tally: Tally, item: BenchmarkItem, verdict: ItemVerdict) -> None:
    for better, worse in item.iterate_pairs():
        right = verdict.compare_pair(better, worse)
        tally.add("said/all", item.cluster, float(not math.isnan(right)))
        if math.isnan(right):
            continue
        longer = len(item.texts[better]) - len(item.texts[worse])
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


def _count_best(tally: Tally, item: BenchmarkItem, verdict: ItemVerdict) -> None:
    if not verdict.is_complete or item.styles is not None or len(item.responses) < 3:
        return
    scores = verdict.scores.round(9)
    top = scores == scores.max()
    best = np.array(item.tiers) == min(item.tiers)
    for name in ("all", *_list_subsets(item)):
        tally.add(f"best/{name}", item.cluster, float(best[top].mean()))
    gold = np.array(item.gold) if item.gold is not None else best.astype(np.float64)
    for n, value in compute_expected_gold(scores, gold).items():
        tally.add(f"gold/{n}", item.cluster, value)


def compute_expected_gold(scores: Float64, gold: Float64) -> dict[int, float]:
    """Compute n → expected gold of the top-scored of n responses drawn without replacement, n = 1, 2, 4, … and N.

    The response of rank r (0 the best) is the top of a draw with probability C(N − 1 − r, n − 1) / C(N, n);
    responses with equal scores share the probability of their ranks.
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


def _count_ties(tally: Tally, benchmark: BenchmarkSet, verdicts: Sequence[ItemVerdict]) -> None:
    """Count RewardBench 2's subset Ties: row `ref:K` has one right answer, row `tied:K` several to the same question.

    - "ref right", "tied right": all right answers of the row beat all wrong ones.
    - "preferred": in the tied row, the gap between the worst right answer and the best wrong one is larger than the
      spread of the right answers.
    - "preferred hard": so is the smaller gap of the two rows.
    - "margin": a tie-break, tanh(smaller gap / spread − 1).
    """
    if benchmark.format != "reward-bench-2":
        return
    spread: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for item, verdict in zip(benchmark.items, verdicts, strict=True):
        kind, _, question = item.key.partition(":")
        if item.subset == _TIES and kind in ("ref", "tied") and verdict.is_complete:
            spread[question][kind] = _measure_spread(item, verdict)
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


def _measure_spread(item: BenchmarkItem, verdict: ItemVerdict) -> tuple[float, float]:
    """Return the spread of the right answers' scores, and the gap from the worst of them to the best wrong one."""
    right = np.array(item.tiers) == 1
    scores = verdict.scores
    return float(np.ptp(scores[right])), float(scores[right].min() - scores[~right].max())


def _collect_confidences(
    items: Sequence[BenchmarkItem], verdicts: Sequence[ItemVerdict]
) -> tuple[Float64, Float64]:
    """Collect float64[n], confidence in the preferred side, and float64[n], whether it is right; ½ for one half."""
    probabilities = [
        verdict.p[better, worse]
        for item, verdict in zip(items, verdicts, strict=True)
        if verdict.p is not None
        for better, worse in item.iterate_pairs()
    ]
    p = np.array([value for value in probabilities if np.isfinite(value)], np.float64)
    return np.maximum(p, 1.0 - p), 0.5 + 0.5 * np.sign((p - 0.5).round(9))


def estimate_calibration_error(confidence: Float64, right: Float64) -> MeanEstimate | None:
    """Estimate Σ over bins of share · |mean confidence − share right|; no interval, as resampling would bias it."""
    if len(confidence) == 0:
        return None
    bins = np.minimum(((confidence - 0.5) * 2 * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.bincount(bins, confidence - right, _BINS)
    return MeanEstimate(float(np.abs(gaps).sum() / len(confidence)), None, None, len(confidence))
