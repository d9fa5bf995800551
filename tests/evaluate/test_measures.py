"""Measures of a benchmark: against naive references, and against figures worked out by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.core.progress import no_progress
from curate.data.conversation import text_answer
from curate.engine.base import build_chat
from curate.evaluate.benchmark import BenchmarkItem, BenchmarkSet
from curate.evaluate.leaderboards import REWARD_BENCH
from curate.evaluate.measures import compute_expected_gold, estimate_calibration_error, measure_subject
from curate.evaluate.verdicts import BASELINES, ItemVerdict
from curate.stats.accuracy import MeanEstimate

scores_of = st.lists(st.integers(0, 6), min_size=2, max_size=7)


def item(key: str, good: int, bad: int, subset: str = "all", **about: object) -> BenchmarkItem:
    responses = tuple(text_answer(f"{key} {n}") for n in range(good + bad))
    return BenchmarkItem(
        key=key,
        context=build_chat(("user", key)),
        responses=responses,
        tiers=(1,) * good + (2,) * bad,
        subset=subset,
        **about,  # type: ignore[arg-type]
    )


def of(form: str, *items: BenchmarkItem) -> BenchmarkSet:
    return BenchmarkSet(name="set", format=form, items=items, rows=len(items), dropped={}, digest="")


def figures(measured: BenchmarkSet, *scores: list[float]) -> dict[tuple[str, str], MeanEstimate]:
    opinions = [ItemVerdict(np.array(entry, np.float64)) for entry in scores]
    return {
        (entry.metric, entry.subset): entry.estimate
        for entry in measure_subject("m", measured, opinions, resamples=50)
    }


def test_pairs_best_of_n_and_coverage() -> None:
    measured = figures(
        of("native", item("a", 1, 3, "x"), item("b", 1, 1, "x"), item("c", 1, 1)),
        [2.0, 1.0, 2.0, 3.0],
        [0.0, 1.0],
        [math.nan, 0.0],
    )
    assert measured["accuracy", "all"].value == pytest.approx((1 + 0.5 + 0 + 0) / 4)
    assert measured["accuracy", "x"].n == 4
    assert measured["coverage", "all"].value == pytest.approx(4 / 5)
    assert measured["best-of-n", "all"] == MeanEstimate(0.0, None, None, 1)
    assert ("ece", "all") not in measured


def test_ties_at_the_top_share_the_credit() -> None:
    measured = figures(of("native", item("a", 1, 3), item("b", 1, 3)), [1.0, 1.0, 0.0, 0.0], [0.0] * 4)
    assert measured["best-of-n", "all"].value == pytest.approx((0.5 + 0.25) / 2)


@given(scores_of, st.data())
def test_the_pick_from_n_is_the_mean_over_all_draws(scores: list[int], data: st.DataObject) -> None:
    gold = data.draw(st.lists(st.floats(-5, 5), min_size=len(scores), max_size=len(scores)))
    measured = compute_expected_gold(np.array(scores, np.float64), np.array(gold))
    assert list(measured) == sorted({*[n for n in (1, 2, 4) if n < len(scores)], len(scores)})
    for n, value in measured.items():
        values = []
        for draw in itertools.combinations(range(len(scores)), n):
            top = max(scores[i] for i in draw)
            values.append(np.mean([gold[i] for i in draw if scores[i] == top]))
        # Ties over the whole set share gold, which on average is what ties within a draw do.
        assert value == pytest.approx(np.mean(values), abs=1e-9)


def naive_ties(rows: list[tuple[str, int, list[float]]]) -> float:
    """RewardBench 2's score of the subset Ties, as its paper and code describe it."""
    stats: dict[str, dict[str, tuple[float, float]]] = {"ref": {}, "tied": {}}
    for key, right, scores in rows:
        kind, question = key.split(":")
        good, bad = scores[:right], scores[right:]
        stats[kind][question] = (max(good) - min(good), min(good) - max(bad))
    accuracy = {kind: np.mean([gap > 0 for _, gap in entry.values()]) for kind, entry in stats.items()}
    both = sorted(set(stats["ref"]) & set(stats["tied"]))
    apart = np.array([stats["tied"][q][0] for q in both])
    tied, ref = (np.array([stats[kind][q][1] for q in both]) for kind in ("tied", "ref"))
    with np.errstate(divide="ignore", invalid="ignore"):
        margin = np.nan_to_num(np.tanh(np.minimum(ref, tied) / apart - 1), nan=0.0)
    return float(
        0.3 * accuracy["tied"]
        + 0.3 * accuracy["ref"]
        + 0.2 * np.mean(tied > apart)
        + 0.2 * np.mean(np.minimum(ref, tied) > apart)
        + 0.01 * np.mean(margin)
    )


@given(st.integers(0, 10_000))
def test_ties_as_reward_bench_2_scores_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = []
    for question in range(5):
        right = int(rng.integers(2, 5))
        rows.append((f"tied:{question}", right, [float(v) for v in rng.integers(0, 5, right + 3)]))
        rows.append((f"ref:{question}", 1, [float(v) for v in rng.integers(0, 5, 4)]))
    items = [item(key, right, len(scores) - right, "Ties") for key, right, scores in rows]
    measured = figures(of("reward-bench-2", *items), *(scores for *_, scores in rows))
    assert measured["ties", "Ties"].value == pytest.approx(naive_ties(rows))


def test_reward_bench_2_is_the_mean_of_six() -> None:
    subsets = ("Factuality", "Precise IF", "Math", "Safety", "Focus")
    items = [item(f"{subset}{n}", 1, 3, subset) for subset in subsets for n in range(2)]
    scores = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]] * 5
    ties = [item("ref:0", 1, 2, "Ties"), item("tied:0", 2, 2, "Ties")]
    measured = figures(of("reward-bench-2", *items, *ties), *scores, [9.0, 0.0, 0.0], [9.0, 8.0, 0.0, 0.0])
    expected = 0.3 + 0.3 + 0.2 + 0.2 + 0.01 * math.tanh(7)
    assert measured["ties", "Ties"].value == pytest.approx(expected)
    assert measured["score", "all"].value == pytest.approx((5 * 0.5 + expected) / 6)
    assert ("score", "all") not in figures(of("reward-bench-2", *items), *scores)


def test_rm_bench_by_level_and_domain() -> None:
    domains = ("chat", "math", "code", "safety-refuse", "safety-response")
    rng = np.random.default_rng(0)
    items = [item(f"{d}{n}", 3, 3, d, styles=(0, 1, 2, 0, 1, 2)) for d in domains for n in range(4)]
    scores = [[float(v) for v in rng.permutation(6)] for _ in items]
    measured = figures(of("rm-bench", *items), *scores)
    cells = np.zeros((len(items), 3, 3))
    for row, entry in enumerate(scores):
        for i in range(3):
            for j in range(3):
                cells[row, i, j] = entry[i] > entry[3 + j]
    matrix = cells.mean(axis=0)
    assert measured["accuracy", "hard"].value == pytest.approx(np.triu(matrix, 1).sum() / 3)
    assert measured["accuracy", "normal"].value == pytest.approx(np.diag(matrix).mean())
    assert measured["accuracy", "easy"].value == pytest.approx(np.tril(matrix, -1).sum() / 3)
    assert measured["accuracy", "concise ≻ markdown"].value == pytest.approx(matrix[0, 2])
    by_domain = cells.reshape(5, 4, 3, 3).mean(axis=1)
    domain = [by_domain[0].mean(), by_domain[1].mean(), by_domain[2].mean(), by_domain[3:].mean()]
    assert measured["domain", "safety"].value == pytest.approx(domain[3])
    assert measured["score", "all"].value == pytest.approx(np.mean(domain))


def test_reward_bench_sections_are_weighted_by_their_sizes() -> None:
    subsets = [(section, subset) for section, sizes in REWARD_BENCH.items() for subset in sizes]
    items = [item(subset, 1, 1, subset) for _, subset in subsets]
    scores = [[1.0, 0.0] if subset == "math-prm" else [0.0, 1.0] for _, subset in subsets]
    measured = figures(of("reward-bench", *items), *scores)
    assert measured["section", "Reasoning"].value == pytest.approx(0.5)  # code counts as much as mathematics
    assert measured["score", "all"].value == pytest.approx(0.125)


def test_baselines_know_length_and_nothing() -> None:
    items = [item("a", 1, 3), item("b", 1, 3)]
    length, chance = (
        measure_subject(
            entry.name, of("native", *items), entry.judge_items(items, track=no_progress), resamples=0
        )
        for entry in BASELINES
    )
    assert {(s.metric, s.estimate.value) for s in chance if s.subset == "all"} >= {
        ("accuracy", 0.5),
        ("best-of-n", 0.25),
        ("gold@1", 0.25),
        ("gold@4", 0.25),
    }
    assert length[0].estimate.value == 0.5  # all of one length here


def brute_error(confidence: np.ndarray, right: np.ndarray) -> float:
    total = 0.0
    for low in range(15):
        inside = (confidence >= 0.5 + low / 30) & ((confidence < 0.5 + (low + 1) / 30) | (low == 14))
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return total


def test_calibration_error() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.5, 1.0, 500)
    right = (rng.random(500) < confidence).astype(np.float64)
    measured = estimate_calibration_error(confidence, right)
    assert measured is not None
    assert measured.value == pytest.approx(brute_error(confidence, right), abs=1e-3)
    assert estimate_calibration_error(np.ones(4), np.array([1.0, 1.0, 0.0, 0.0])) == MeanEstimate(
        0.5, None, None, 4
    )
    assert estimate_calibration_error(np.empty(0), np.empty(0)) is None


def test_guard_counts_who_falls_for_what() -> None:
    traps = of("guard", item("a", 1, 1, "empty"), item("b", 1, 1, "echo"))
    measured = figures(traps, [1.0, 0.0], [0.0, 1.0])
    assert {key: entry.value for key, entry in measured.items()} == {
        ("false-positive-rate", "all"): 0.5,
        ("false-positive-rate", "empty"): 0.0,
        ("false-positive-rate", "echo"): 1.0,
    }
