"""Scores order responses as ranks do, for every annotator model, order of the steps, and with people's verdicts."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.aggregate import aggregate_judgments
from curate.aggregate.ranking.prompt_scores import GAP, as_votes, order_scores
from curate.config.aggregate import ANNOTATOR_MODEL_NAMES
from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.export import write_export
from curate.lake.lake import Lake

METHODS = ("ensemble-then-denoise", "denoise-then-ensemble")


def add_people(lake: Lake) -> None:
    """A person who judges a third of the pairs by chance, ties among them, and one prompt by chance throughout."""
    rows = lake.rows("SELECT DISTINCT prompt_id, response_a, response_b FROM judgments ORDER BY ALL")
    rng, said = random.Random(1), []
    first = rows[0][0]
    for prompt, a, b in rows:
        if prompt != first and rng.random() < 2 / 3:
            continue
        outcome = rng.choice("ab") if prompt == first else rng.choice(("a", "b", "tie"))
        said.append((f"{a}{b}", prompt, a, b, outcome))
    lake.rows("CREATE TEMP TABLE said (judgment_id TEXT, prompt_id TEXT, a TEXT, b TEXT, outcome TEXT)")
    for row in said:
        lake.rows("INSERT INTO said VALUES (?, ?, ?, ?, ?)", row)
    lake.rows(
        "INSERT INTO lake.judgments (judgment_id, prompt_id, annotator_id, kind, form, response_a, response_b, "
        "outcome, revision, sample, run_id) SELECT judgment_id, prompt_id, 'person', 'human', 'pairwise', a, b, "
        "outcome, 'imported', 0, 'people' FROM said"
    )


def assert_scores_follow_ranks(rows: list[tuple[list[int], list[float]]]) -> None:
    assert rows
    for ranks, scores in rows:
        for (rank, score), (other, less) in itertools.permutations(zip(ranks, scores, strict=True), 2):
            assert (rank < other) == (score > less)
            assert (rank == other) == (score == less)


@pytest.mark.parametrize("people", [False, True], ids=["judges", "people"])
def test_every_prompt_and_its_export(sample_lake: Lake, tmp_path: Path, people: bool) -> None:
    if people:
        add_people(sample_lake)
    for model, method in itertools.product(("auto", *ANNOTATOR_MODEL_NAMES), METHODS):
        config = Config.model_validate({"aggregate": {"annotator_model": model, "method": method}})
        aggregate_judgments(sample_lake, config)
        assert_scores_follow_ranks(
            sample_lake.rows("SELECT list(rank), list(score) FROM rankings GROUP BY prompt_id")
        )
        decided = sample_lake.rows(
            "SELECT outcome, a.score, b.score FROM preferences JOIN rankings AS a ON a.response_id = response_a "
            "JOIN rankings AS b ON b.response_id = response_b WHERE outcome <> 'tie'"
        )
        assert all((outcome == "a") == (a > b) for outcome, a, b in decided)
    folder = tmp_path / "export"
    write_export(
        sample_lake, config, ExportEntry(path=str(folder), format="ranking", routed=True, min_confidence=0)
    )
    rows = pl.read_parquet(folder / "data" / "train-*.parquet").select("rankings", "scores").rows()
    assert_scores_follow_ranks(rows)


prompts = st.lists(
    st.lists(st.tuples(st.integers(0, 5), st.floats(-9, 9)), min_size=1, max_size=8), min_size=1, max_size=4
)


@given(prompts)
def test_scores_move_only_as_far_as_they_must(drawn: list[list[tuple[int, float]]]) -> None:
    rank = np.array([rank for prompt in drawn for rank, _ in prompt], np.int32)
    score = np.array([score for prompt in drawn for _, score in prompt])
    responses = np.cumsum([0, *(len(prompt) for prompt in drawn)])
    moved = order_scores(score, rank, responses)
    np.testing.assert_array_equal(moved[rank == 0], score[rank == 0])
    again = order_scores(moved, rank, responses)
    np.testing.assert_allclose(again, moved, atol=1e-9)
    for begin, end in itertools.pairwise(responses.tolist()):
        placed = [k for k in range(begin, end) if rank[k] > 0]
        for i, j in itertools.combinations(placed, 2):
            if rank[i] == rank[j]:
                assert moved[i] == moved[j]
            else:
                above, below = (i, j) if rank[i] < rank[j] else (j, i)
                assert moved[above] - moved[below] >= GAP * 0.99
        if placed:
            assert np.isclose(moved[placed].mean(), score[placed].mean(), atol=1e-9)


def test_a_probability_is_worth_the_votes_that_make_a_majority_as_sure() -> None:
    for n in (1, 3, 98):
        sure = (n + 1) / (n + 2)
        np.testing.assert_allclose(as_votes(np.array([sure, 1 - sure, 0.5])), [[n, 0, 0], [0, n, 0]])
    assert np.isfinite(as_votes(np.array([0.0, 1.0]))).all()
