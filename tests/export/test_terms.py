"""Licences and origins: what an export may hold, and what it says of where its rows come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from curate.config.project import Config, load_config
from curate.core.errors import CurateError
from curate.export import write_exports
from curate.ingest import ingest_sources
from curate.lake.lake import Lake
from curate.records import Preference, arrow_schema


def write_rows(path: Path, numbers: range, model: str) -> None:
    if path.exists():  # a file that is written again would be read again
        return
    rows = [
        {
            "id": f"q{n}",
            "prompt": f"What is {n}?",
            "responses": [{"id": "x", "text": f"{n}.", "model": model}, {"id": "y", "text": "No."}],
        }
        for n in numbers
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_project(home: Path, *, a: dict[str, Any], b: dict[str, Any], **sections: Any) -> Config:
    """Two sources: a has q0 to q3, b has q3 to q5; every pair has a label."""
    sources = [{"source": "a.jsonl", **a}, {"source": "b.jsonl", **b}]
    (home / "curate.yaml").write_text(yaml.safe_dump({"ingest": sources, **sections}))
    write_rows(home / "a.jsonl", range(4), "m1")
    write_rows(home / "b.jsonl", range(3, 6), "m1")
    config = load_config(home / "curate.yaml")
    with Lake.open(config.location) as lake:
        ingest_sources(lake, config)
        if not lake.value("SELECT count(*) FROM preferences"):
            label_pairs(lake)
    return config


def label_pairs(lake: Lake) -> None:
    labels = [
        Preference(
            prompt_id=prompt,
            response_a=ids[0],
            response_b=ids[1],
            p_a=0.9,
            strength=2.2,
            outcome="a",
            status="accepted",
            confidence=0.9,
            n_judgments=1,
            dropped_weight=0.0,
            iteration=0,
            run_id="test",
        )
        for prompt, ids in lake.rows(
            "SELECT prompt_id, list(response_id ORDER BY response_id) FROM responses GROUP BY 1"
        )
    ]
    with lake.write("test") as writer:
        rows = [label.model_dump() for label in labels]
        writer.append("preferences", pa.Table.from_pylist(rows, arrow_schema(Preference)))


def export(config: Config) -> Any:
    with Lake.open(config.location) as lake:
        return write_exports(lake, config)


def test_an_unknown_licence_refuses_the_export_with_a_count(tmp_path: Path) -> None:
    config = make_project(tmp_path, a={"license": "MIT"}, b={}, export=[{"path": "out", "licenses": ["mit"]}])
    with pytest.raises(CurateError, match=r"2 of its 6 pairs .* b\.jsonl \(no licence known\)"):
        export(config)  # q3 is in both, and may be used as a.jsonl allows
    assert not (tmp_path / "out").exists()


def test_rows_of_other_licences_are_dropped_and_counted(tmp_path: Path) -> None:
    entry = {"path": "out", "other_licenses": "drop", "terms": True}
    config = make_project(
        tmp_path,
        a={"license": "mit", "origin": "our users"},
        b={"license": "cc-by-nc-4.0"},
        export=[entry],
        licenses=["mit", "apache-2.0"],
    )
    export(config)
    rows = pq.read_table(tmp_path / "out" / "data").to_pylist()
    assert len(rows) == 4
    assert sorted(map(str, {tuple(row["licenses"]) for row in rows})) == [
        "('cc-by-nc-4.0', 'mit')",
        "('mit',)",
    ]
    assert {tuple(row["sources"]) for row in rows} == {("a.jsonl",), ("a.jsonl", "b.jsonl")}
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["counts"]["dropped"] == {"licence not allowed": 2}
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| a.jsonl | mit | our users | 4 |" in card


def test_a_licence_that_is_named_later_needs_no_new_reading(tmp_path: Path) -> None:
    exports = [{"path": "out", "licenses": ["mit"]}]
    config = make_project(tmp_path, a={"license": "mit"}, b={}, export=exports)
    with pytest.raises(CurateError, match="refused"):
        export(config)
    config = make_project(tmp_path, a={"license": "mit"}, b={"license": "mit"}, export=exports)
    with Lake.open(config.location) as lake:
        assert lake.value("SELECT count(*) FROM runs WHERE stage = 'ingest'") == 2
    assert export(config).counts.rows_kept == 6
    # Without `terms` the columns are as they always were.
    assert "licenses" not in pq.read_schema(next((tmp_path / "out" / "data").glob("*.parquet"))).names


def test_a_model_that_forbids_it_bars_its_responses(tmp_path: Path) -> None:
    terms = {"license": "mit"}
    exports = [{"path": "out", "licenses": ["mit"]}]
    config = make_project(tmp_path, a=terms, b=terms, export=exports, models={"m1": {"license": "llama3"}})
    with pytest.raises(CurateError, match=r"6 of its 6 pairs .* model m1 \(llama3\)"):
        export(config)
    config = make_project(tmp_path, a=terms, b=terms, export=exports, models={"m1": {"license": "MIT"}})
    assert export(config).counts.rows_kept == 6


@pytest.mark.parametrize("form", ["ranking", "parquet"])
def test_other_formats_fail_closed_too(tmp_path: Path, form: str) -> None:
    config = make_project(
        tmp_path, a={"license": "mit"}, b={}, export=[{"path": "out", "format": form, "licenses": ["mit"]}]
    )
    if form == "ranking":
        with Lake.open(config.location) as lake, lake.write("test") as writer:
            writer.append(
                "rankings",
                lake.arrow(
                    "SELECT prompt_id, response_id, row_number() OVER (PARTITION BY prompt_id) AS rank, 0.5 AS score, "
                    "NULL::DOUBLE AS score_sd, 0 AS iteration, 'test' AS run_id FROM responses"
                ),
            )
    with pytest.raises(CurateError, match="2 of its 6"):
        export(config)
