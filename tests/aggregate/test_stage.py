"""The stage on a lake: right tables, once, again only when something changed, and equal for equal judgments."""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import pytest

from curate.aggregate import aggregate_judgments
from curate.config.project import Config
from curate.lake.lake import Lake
from curate.lake.runs import StageRun
from curate.lake.status import read_status

PANEL = Config.model_validate({"judge": {"judges": [{"name": "good", "kind": "rule"}]}})


def content(lake: Lake) -> list[list[tuple[object, ...]]]:
    tables = ("preferences", "rankings", "dropped_arcs", "annotators")
    return [lake.rows(f"SELECT * EXCLUDE run_id FROM {table} ORDER BY ALL") for table in tables]


def test_the_better_response_ranks_first(sample_lake: Lake) -> None:
    summary = aggregate_judgments(sample_lake, PANEL)
    assert not summary.skipped
    assert summary.counts.rows_in == summary.counts.rows_kept == 432
    joined = sample_lake.frame("SELECT rank, model FROM rankings JOIN responses USING (response_id)")
    mean = joined.group_by("model").agg(pl.col("rank").mean()).sort("model")["rank"].to_list()
    assert mean == sorted(mean)
    assert sample_lake.value("SELECT count(*) FROM preferences") == 72
    assert read_status(sample_lake).reconciles


def test_no_cycle_is_left_and_dropped_arcs_are_the_overruled_votes(sample_lake: Lake) -> None:
    aggregate_judgments(sample_lake, PANEL)
    rank = dict(sample_lake.rows("SELECT response_id, rank FROM rankings"))
    preferences = sample_lake.frame("SELECT * FROM preferences").to_dicts()
    for row in preferences:
        ahead = {
            "a": rank[row["response_a"]] < rank[row["response_b"]],
            "b": rank[row["response_a"]] > rank[row["response_b"]],
        }
        assert row["outcome"] == "tie" or ahead[row["outcome"]]
        if row["status"] == "flipped":
            assert row["dropped_weight"] > 0
            assert row["confidence"] < 0.5
    dropped = sum(row["dropped_weight"] for row in preferences)
    assert sample_lake.value("SELECT coalesce(sum(weight), 0) FROM dropped_arcs") == pytest.approx(dropped)


def test_a_second_time_nothing_is_written(sample_lake: Lake) -> None:
    aggregate_judgments(sample_lake, PANEL)
    before, rows = sample_lake.snapshot(), content(sample_lake)
    assert aggregate_judgments(sample_lake, PANEL).skipped
    assert sample_lake.snapshot() == before
    changed = PANEL.model_copy(
        update={"aggregate": PANEL.aggregate.model_copy(update={"method": "denoise-then-ensemble"})}
    )
    assert not aggregate_judgments(sample_lake, changed).skipped
    assert not aggregate_judgments(
        sample_lake, PANEL
    ).skipped  # back again: the tables hold the other method's results
    assert content(sample_lake) == rows


def test_a_clock_that_was_once_ahead_freezes_nothing(
    sample_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = PANEL.model_copy(
        update={"aggregate": PANEL.aggregate.model_copy(update={"method": "denoise-then-ensemble"})}
    )
    with monkeypatch.context() as ahead:
        ahead.setattr("curate.lake.runs._read_clock", lambda: "2999-01-01T00:00:00.000+00:00")
        aggregate_judgments(sample_lake, PANEL)
    rows = content(sample_lake)
    assert not aggregate_judgments(sample_lake, other).skipped
    assert not aggregate_judgments(sample_lake, PANEL).skipped
    assert content(sample_lake) == rows


def test_human_votes_verify(sample_lake: Lake) -> None:
    first = sample_lake.arrow("SELECT * FROM judgments WHERE annotator_id = 'good'")
    columns = {
        "judgment_id": ["h" + i for i in first["judgment_id"].to_pylist()],
        "annotator_id": ["person"] * len(first),
    }
    columns["kind"] = ["human"] * len(first)
    for name, values in columns.items():
        first = first.set_column(first.schema.get_field_index(name), name, pa.array(values))
    with sample_lake.write("people") as writer:
        writer.append("judgments", first)
    aggregate_judgments(sample_lake, PANEL)
    found = dict(sample_lake.rows("SELECT status, count(*) FROM preferences GROUP BY 1"))
    assert found.keys() <= {"verified", "accepted", "routed"}  # no panel overrules a person
    assert {
        reason for (reason,) in sample_lake.rows("SELECT reason FROM preferences WHERE status = 'routed'")
    } <= {
        "the verdicts of people contradict each other"  # this one, with the order
    }
    assert found["verified"] > 50
    assert sample_lake.value("SELECT agreement FROM annotators WHERE annotator_id = 'good'") == 1.0


def test_only_the_newest_revision_of_a_configured_judge_counts(sample_lake: Lake) -> None:
    judged = sample_lake.arrow("SELECT * FROM judgments WHERE annotator_id = 'good'")
    for revision in ("old", "new"):
        table = judged
        renamed = {"judgment_id": [revision + i for i in judged["judgment_id"].to_pylist()]}
        renamed |= {"annotator_id": ["judge"] * len(judged), "revision": [revision] * len(judged)}
        for name, values in renamed.items():
            table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
        run = StageRun(sample_lake, "judge", config_hash="c")
        with run.chunk("judge", fingerprint=revision, status="done") as (writer, counts):
            writer.append("judgments", table)
            counts.details["revision"] = revision
    configured = Config.model_validate({"judge": {"judges": [{"name": "judge", "kind": "rule"}]}})
    aggregate_judgments(sample_lake, configured)
    found = dict(sample_lake.rows("SELECT annotator_id, n FROM annotators"))
    assert found == {"fair": 144, "good": 144, "random": 144, "judge": 144}
    aggregate_judgments(sample_lake, Config())  # the judge has left the panel
    assert set(dict(sample_lake.rows("SELECT annotator_id, n FROM annotators"))) == {"fair", "good", "random"}


def test_a_lake_without_judgments_has_no_preferences(lake: Lake) -> None:
    summary = aggregate_judgments(lake, Config())
    assert summary.counts.rows_in == 0
    assert lake.value("SELECT count(*) FROM preferences") == 0
