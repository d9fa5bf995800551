"""Whose judgments count, and what those of every form say about pairs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.aggregate import aggregate_judgments
from curate.config.aggregate import AggregateSection
from curate.config.project import Config
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.records import Judgment, arrow_schema

Row = dict[str, Any]
COLUMNS = "prompt_id, response_a, response_b, annotator_id, sample, outcome, shown, p_a"


def statement(**said: Any) -> Row:
    always = {
        "prompt_id": "p",
        "annotator_id": "j",
        "kind": "llm",
        "revision": "r",
        "sample": 0,
        "run_id": "run",
    }
    return always | {"outcome": "a"} | said


def rating(response: str, score: float | None, **also: Any) -> Row:
    names = "-".join(str(also.get(name, "")) for name in ("annotator_id", "revision", "sample"))
    return statement(
        judgment_id=f"{response}-{names}", form="pointwise", response_a=response, score=score, **also
    )


def says(lake: Lake, *rows: Row) -> list[tuple[Any, ...]]:
    """The pairwise statements of a lake that holds these judgments, all annotators on the panel."""
    table = pa.Table.from_pylist(list(rows), schema=arrow_schema(Judgment))
    with lake.write("test") as writer:
        writer.delete("judgments", "true")
        writer.append("judgments", table)
    panel = table.select(["annotator_id", "revision"]).group_by(["annotator_id", "revision"]).aggregate([])
    with lake.bind("panel", panel):
        lake.rows(read_query("current_judgments"))
        return lake.rows(f"SELECT {COLUMNS} FROM pairwise_statements ORDER BY ALL")


def test_pairwise_judgments_are_taken_as_they_are(lake: Lake) -> None:
    pair = {"form": "pairwise", "response_a": "x", "response_b": "y"}
    rows = [
        statement(judgment_id="1", shown="ab", p_a=0.75, **pair),
        statement(judgment_id="2", shown="ba", outcome="failed", **pair),  # type: ignore[arg-type]
    ]
    assert says(lake, *rows) == [
        ("p", "x", "y", "j", 0, "a", "ab", 0.75),
        ("p", "x", "y", "j", 0, "failed", "ba", None),
    ]


def test_ratings_are_compared_within_annotator_revision_and_sample(lake: Lake) -> None:
    rows = [
        rating("x", 4.0),
        rating("y", 2.0),
        rating("z", 4.0),
        rating("x", 1.0, sample=1),
        rating("y", 3.0, sample=1),
        rating("x", 5.0, annotator_id="other"),
        rating("y", 1.0, revision="older"),
        rating("w", None, outcome="failed"),
        rating("v", 9.0, outcome="abstain"),
    ]
    assert says(lake, *rows) == [
        ("p", "x", "y", "j", 0, "a", None, None),
        ("p", "x", "y", "j", 1, "b", None, None),
        ("p", "x", "z", "j", 0, "tie", None, None),
        ("p", "y", "z", "j", 0, "b", None, None),
    ]


def test_ratings_with_a_spread_give_a_probability(lake: Lake) -> None:
    rows = [rating("x", 4.0, score_sd=0.6), rating("y", 3.0, score_sd=0.8), rating("z", 3.0, score_sd=0.0)]
    rows += [rating("v", 3.0, score_sd=0.0), rating("w", -900.0, score_sd=0.1)]
    found = {row[1:3]: row[5:] for row in says(lake, *rows)}
    outcome, shown, p = found["x", "y"]
    assert (outcome, shown) == ("a", None)
    assert p == pytest.approx(1 / (1 + math.exp(-1.702)))
    normal = 0.5 * (1 + math.erf(1 / math.sqrt(2)))
    assert p == pytest.approx(normal, abs=0.01)
    assert found["x", "z"][2] == pytest.approx(1 / (1 + math.exp(-1.702 / 0.6)))
    assert found["y", "z"] == ("tie", None, 0.5)
    assert found["v", "z"] == ("tie", None, None)  # two certain ratings: the outcome says all
    assert found["w", "x"] == ("b", None, pytest.approx(0.0))
    assert found["v", "w"] == ("a", None, pytest.approx(1.0))


def test_lists_are_compared_by_scores_or_by_rank_with_the_order_shown(lake: Lake) -> None:
    by_scores = statement(judgment_id="1", form="listwise", listed=["z", "x", "y"], scores=[1.0, 7.0, 7.0])
    assert says(lake, by_scores) == [
        ("p", "x", "y", "j", 0, "tie", "ab", None),
        ("p", "x", "z", "j", 0, "a", "ba", None),
        ("p", "y", "z", "j", 0, "a", "ba", None),
    ]
    by_rank = statement(judgment_id="1", form="listwise", listed=["z", "x", "y"], ranking=["x", "z"])
    assert says(lake, by_rank) == [("p", "x", "z", "j", 0, "a", "ba", None)]  # of y it says nothing
    imported = statement(judgment_id="1", form="listwise", ranking=["y", "x"])
    assert says(lake, imported) == [("p", "x", "y", "j", 0, "b", None, None)]
    assert says(lake, imported | {"outcome": "failed"}) == []


def test_what_is_superseded_no_longer_counts(lake: Lake) -> None:
    person = {
        "annotator_id": "ann",
        "kind": "human",
        "form": "pairwise",
        "response_a": "x",
        "response_b": "y",
    }
    first = statement(judgment_id="1", **person)
    second = statement(judgment_id="2", supersedes="1", **person | {"outcome": "b", "revision": "s"})
    third = statement(judgment_id="3", supersedes="2", **person | {"outcome": "abstain"})
    assert [row[5] for row in says(lake, first, second)] == ["b"]
    assert [row[5] for row in says(lake, first, second, third)] == ["abstain"]
    rated = [rating("x", 1.0), rating("y", 2.0), rating("x", 3.0, revision="r2", supersedes="x---")]
    assert says(lake, *rated) == []  # the new rating of x stands beside none of its own revision


def test_whoever_is_not_on_the_panel_does_not_count(lake: Lake) -> None:
    assert len(says(lake, rating("x", 1.0), rating("y", 2.0))) == 1
    with lake.bind("panel", pa.table({"annotator_id": ["j"], "revision": ["another"]})):
        lake.rows(read_query("current_judgments"))
        assert lake.rows("FROM pairwise_statements") == []


ratings = st.lists(
    st.tuples(
        st.sampled_from("pq"),
        st.sampled_from("wxyz"),
        st.sampled_from("jk"),
        st.integers(0, 1),
        st.integers(1, 5),
    ),
    unique_by=lambda row: row[:4],
    min_size=1,
)


@pytest.fixture(scope="module")
def one_lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    from curate.lake.lake import Location

    with Lake.open(Location.under(tmp_path_factory.mktemp("lake"))) as opened:
        yield opened


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ratings)
def test_ratings_as_compared_one_by_one(one_lake: Lake, rows: list[tuple[str, str, str, int, int]]) -> None:
    judged = [
        rating(f"{p}{r}", float(score), prompt_id=p, annotator_id=j, sample=sample)
        for p, r, j, sample, score in rows
    ]
    expected = sorted(
        (p, p + a, p + b, j, s, "a" if score > other else "b" if score < other else "tie", None, None)
        for (p, a, j, s, score), (p2, b, j2, s2, other) in itertools.permutations(rows, 2)
        if (p, j, s) == (p2, j2, s2) and a < b
    )
    assert says(one_lake, *judged) == expected


def test_every_form_reaches_the_preferences_and_the_profiles(sample_lake: Lake) -> None:
    """The same opinion as pairs, as ratings and as a list gives the same order; one list is one judgment."""
    texts = sample_lake.frame("SELECT prompt_id, response_id, model FROM responses ORDER BY ALL")
    rows = [
        statement(
            judgment_id=f"rated-{row['response_id']}", form="pointwise", kind="imported", annotator_id="rater",
            revision="imported", prompt_id=row["prompt_id"], response_a=row["response_id"],
            score=-float(row["model"][-1]), score_sd=0.5,
        )
        for row in texts.iter_rows(named=True)
    ]  # fmt: skip
    for prompt, group in texts.sort("model").group_by("prompt_id", maintain_order=True):
        rows.append(
            statement(
                judgment_id=f"listed-{prompt[0]}", form="listwise", kind="imported", annotator_id="lister",
                revision="imported", prompt_id=prompt[0], listed=group["response_id"].to_list(),
                ranking=group["response_id"].to_list(),
            )
        )  # fmt: skip
    with sample_lake.write("test") as writer:
        writer.delete("judgments", "true")
        writer.append("judgments", pa.Table.from_pylist(rows, schema=arrow_schema(Judgment)))
    aggregate_judgments(sample_lake, Config(aggregate=AggregateSection(annotator_model="majority")))
    ranks = sample_lake.frame("SELECT rank, model FROM rankings JOIN responses USING (response_id)")
    assert (ranks["rank"] == ranks["model"].str.tail(1).cast(pl.Int64) + 1).all()
    profiles = sample_lake.rows(
        "SELECT annotator_id, n, position_bias, failure_rate FROM annotators ORDER BY 1"
    )
    assert profiles == [("lister", 12, 0.5, 0.0), ("rater", 48, None, 0.0)]
