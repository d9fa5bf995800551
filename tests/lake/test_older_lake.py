"""A lake written by version 0.1 (before the modules had their rooms) opens, migrates and says the same as before.

`version_0_1/` was made by that version's `curate ingest`, `judge`, `aggregate` from the files beside it;
`preferences.jsonl` is what `curate sql -f json "SELECT * EXCLUDE (run_id) FROM preferences ORDER BY ALL"` gave.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curate.aggregate import aggregate_judgments
from curate.config.project import Config, load_config
from curate.core.errors import CurateError
from curate.judge import judge_responses
from curate.lake import lake as lake_module
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.lake.status import read_status
from curate.records import TABLES, Record, arrow_schema
from tests.cli.in_process import run_command

OLD = Path(__file__).parent / "version_0_1"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    (tmp_path / ".curate").mkdir()
    (tmp_path / "lake").rename(tmp_path / ".curate" / "lake")
    return load_config(tmp_path / "curate.yaml")


def _preferences(lake: Lake) -> list[dict[str, Any]]:
    return lake.frame("SELECT * EXCLUDE (run_id) FROM preferences ORDER BY ALL").to_dicts()


def _expected() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (OLD / "preferences.jsonl").read_text().splitlines()]


def test_it_opens_for_reading_as_it_is(config: Config) -> None:
    with Lake.open(config.location, read_only=True) as lake:
        assert read_status(lake).reconciles
        rows = _preferences(lake)
    expected = _expected()
    assert [{name: row[name] for name in expected[0]} for row in rows] == expected


def test_it_migrates_and_gives_the_same_preferences(config: Config) -> None:
    with Lake.open(config.location) as lake:
        judged: Summary = judge_responses(lake, config)
        assert judged.skipped or judged.counts.rows_kept == 0  # nothing that was judged is judged again
        aggregate_judgments(lake, config)
        assert read_status(lake).reconciles
        rows = _preferences(lake)
    expected = _expected()
    assert len(rows) == len(expected) > 0
    for row, before in zip(rows, expected, strict=True):
        for name, value in before.items():
            if isinstance(value, float):
                assert row[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name
            else:
                assert row[name] == value, name


def run_curate(config: Config, *arguments: str) -> str:
    """Run a command in the project's folder; it must end well."""
    done = run_command(config.resolve("."), *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("snapshot", [0, 1, 2, 3])
def test_a_snapshot_from_before_a_migration_is_read(config: Config, snapshot: int) -> None:
    Lake.open(config.location).close()  # its first snapshots are the migrations of that version, one each
    with Lake.open(config.location, snapshot=snapshot) as lake:
        assert lake.snapshot() == snapshot
        assert read_status(lake).reconciles
        for name, record in TABLES.items():
            assert lake.arrow(f"SELECT * FROM {name}").schema.equals(arrow_schema(record)), name
        with lake.twin() as twin:
            assert twin.rows("SELECT trust FROM annotators") == []


def test_reading_commands_take_a_lake_from_before_all_but_the_first_migration(config: Config) -> None:
    """Such a lake has no tables of later versions; it stays as it is."""
    with Lake.open(config.location) as lake, lake.lock():
        for name in ("verify_tasks", "graphs", "guarantees", "assessments"):
            lake.rows(f"DROP TABLE IF EXISTS lake.{name}")
        for name in ("score_sd", "listed", "scores", "supersedes", "aspect", "tied_as"):
            lake.rows(f"ALTER TABLE lake.judgments DROP COLUMN {name}")
        lake.rows("ALTER TABLE lake.annotators DROP COLUMN IF EXISTS trust")
        part = 'STRUCT("type" VARCHAR, "text" VARCHAR, uri VARCHAR, sha256 VARCHAR)[]'
        lake.rows(f"ALTER TABLE lake.responses ADD COLUMN content {part}")
        lake.rows(
            "UPDATE lake.responses SET content = list_transform(messages[1].content, lambda part: {"
            "'type': part.\"type\", 'text': part.\"text\", 'uri': part.uri, 'sha256': part.sha256})"
        )
        lake.rows("ALTER TABLE lake.responses DROP COLUMN messages")
        lake.rows("DELETE FROM lake.migrations WHERE name <> '0001_core'")
        snapshot = lake.snapshot()
    expected = len(_expected())
    assert json.loads(run_curate(config, "sql", "-f", "json", "SELECT count(*) AS n FROM preferences")) == [
        {"n": expected}
    ]
    for command in (["status"], ["rank"], ["snapshot", "list"], ["check"], ["report", "-o", "out.html"]):
        assert run_curate(config, *command), command
    run_curate(config, "report", "--snapshot", str(snapshot), "-o", "then.html")
    with Lake.open(config.location, read_only=True) as reader:
        assert reader.snapshot() == snapshot


def test_a_newer_lake_is_refused_by_name_when_it_is_only_read(config: Config) -> None:
    with Lake.open(config.location) as lake:
        lake.rows("INSERT INTO lake.migrations VALUES ('9999_future')")
    with pytest.raises(CurateError, match="written by a newer curate \\(9999_future\\)"):
        Lake.open(config.location, read_only=True)


class _Part(Record):
    text: str | None = None
    uri: str | None = None
    width: int | None = None


class _Later(Record):
    quarantine_id: str
    parts: tuple[_Part, ...]
    line: int | None = None


def test_a_migration_that_moves_a_column_says_how_older_rows_are_read(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`raw` becomes a list of parts, which have a field more than the transformation gives."""
    with lake.write("x") as writer:
        rows = {"quarantine_id": ["a", "b"], "raw": ["one", None], "line": [1, 2]}
        writer.append("quarantine", pa.table(rows))
    folder = tmp_path / "sql" / "older" / "0099_parts"
    folder.mkdir(parents=True)
    query = "SELECT * EXCLUDE (raw), [{'text': raw, 'uri': CAST(NULL AS VARCHAR)}] AS parts FROM before;\n"
    (folder / "quarantine.sql").write_text(query)
    monkeypatch.setattr("curate.lake.older.find_resource", tmp_path.joinpath)
    monkeypatch.setitem(TABLES, "quarantine", _Later)
    read_texts = lake_module._read_texts
    monkeypatch.setattr(
        lake_module,
        "_read_texts",
        lambda name: read_texts(name) | ({"0099_parts": ""} if name == "sql/migrations" else {}),
    )
    with Lake.open(lake.location, read_only=True) as reader:
        parts = [[{"text": text, "uri": None, "width": None}] for text in ("one", None)]
        assert reader.rows("SELECT * FROM quarantine ORDER BY 1") == [
            ("a", parts[0], 1),
            ("b", parts[1], 2),
        ]
        assert reader.arrow("SELECT * FROM quarantine").schema.equals(arrow_schema(_Later))
