"""`curate ingest --replace`: the lake is then as if the right mapping had been there from the start."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.cli.app import app
from curate.core.errors import CurateError
from curate.data.judgments import JudgmentStatement, build_judgment_table
from curate.lake.lake import Lake
from tests.pipeline.forgetting.projects import ingest, pair, read_tables, trl, write_project, write_rows

WRONG = trl("a.jsonl")
RIGHT = trl("a.jsonl", annotator_kind="human", fields={"system": "role", "meta": ["note"]})


def write_data(home: Path) -> None:
    """Half of the rows have a system prompt, without which they are other prompts."""
    home.mkdir()
    write_rows(
        home / "a.jsonl",
        [pair(n, note=f"n{n}", **({"role": f"Be brief. {n}"} if n % 2 else {})) for n in range(10)] + ["{"],
    )
    write_rows(home / "b.jsonl", [pair(n) for n in range(8, 12)])


def judge_all(lake: Lake) -> None:
    """A judge says something of each prompt."""
    rows = lake.rows(
        "SELECT prompt_id, list(response_id ORDER BY response_id) FROM responses GROUP BY ALL ORDER BY 1"
    )
    said = [
        JudgmentStatement(prompt, "judge", "llm", "r1", "pairwise", (ids[0], ids[1]), "a", "ab")
        for prompt, ids in rows
    ]
    with lake.write("judge") as writer:
        writer.append("judgments", build_judgment_table(said, run_id="judge"), unique="judgment_id")


def test_a_mended_mapping_gives_the_lake_that_it_would_have_given_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_data(tmp_path / "mended")
    write_data(tmp_path / "right")
    others = trl("b.jsonl")
    config = write_project(tmp_path / "mended", WRONG, others)
    with ingest(config) as lake:
        judge_all(lake)
        old = lake.value("SELECT count(*) FROM judgments WHERE annotator_id = 'judge'")
        assert old == 12
    write_project(tmp_path / "mended", RIGHT, others)
    monkeypatch.chdir(tmp_path / "mended")
    run = CliRunner().invoke
    assert "10 prompts" in run(app, ["ingest", "--replace", "a.jsonl", "--dry-run"]).output
    result = run(app, ["ingest", "--replace", "a.jsonl", "--yes", "--erase"])
    assert result.exit_code == 0, result.output
    # The sources that were there before a.jsonl came in again come first.
    with ingest(write_project(tmp_path / "right", others, RIGHT)) as lake:
        expected = read_tables(lake)
    with Lake.open(config.location) as lake:
        kept = lake.rows("SELECT DISTINCT prompt_id FROM judgments WHERE annotator_id = 'judge'")
        assert (
            len(kept) == 8
        )  # paid for once: four had a system prompt that was not read, and b.jsonl keeps a fifth
        with lake.write("test") as writer:
            writer.delete("judgments", "annotator_id = 'judge'")
        assert read_tables(lake) == expected
        assert lake.value("SELECT count(*) FROM quarantine") == 1


def test_a_source_that_is_refused_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_data(tmp_path / "p")
    config = write_project(tmp_path / "p", WRONG)
    with ingest(config) as lake:
        expected = read_tables(lake)
    write_project(
        tmp_path / "p",
        {"source": "a.jsonl", "format": "alpaca-eval", "fields": {"prompt": "x", "ignore": []}},
    )
    monkeypatch.chdir(tmp_path / "p")
    refused = CliRunner().invoke(app, ["ingest", "--replace", "nobody.jsonl", "--yes"])
    assert isinstance(refused.exception, CurateError)
    assert "no source 'nobody.jsonl'" in str(refused.exception)
    with Lake.open(config.location) as lake:
        assert read_tables(lake) == expected


def test_a_file_that_grew_adds_what_is_new_and_counts_the_rest(tmp_path: Path) -> None:
    config = write_project(tmp_path, trl("a.jsonl"))
    rows = [pair(n) for n in range(20)]
    write_rows(tmp_path / "a.jsonl", [*rows, "{broken"])
    ingest(config).close()
    write_rows(tmp_path / "a.jsonl", [pair(99), *rows, "{broken", pair(20), pair(3)])
    with ingest(config) as lake:
        counts = lake.rows(
            "SELECT rows_in, rows_kept, rows_duplicate, rows_dropped FROM runs WHERE stage = 'ingest' "
            "ORDER BY snapshot_in"
        )
        assert counts == [(21, 20, 0, 1), (24, 2, 21, 1)]
        assert (
            lake.value("SELECT count(*) FROM prompts") == lake.value("SELECT count(*) FROM judgments") == 22
        )
        assert lake.value("SELECT count(*) FROM repeats") == 0
        assert lake.rows("SELECT line FROM quarantine") == [(22,)]


def test_judgments_about_replaced_rows_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(text: str) -> list[dict[str, object]]:
        responses = [{"id": "x", "text": f"{text} x"}, {"id": "y", "text": f"{text} y"}]
        return [{"id": f"q{n}", "prompt": f"What is {n}?", "responses": responses} for n in range(3)]

    votes = [
        {"prompt": f"q{n}", "a": "x", "b": "y", "annotator": "v", "kind": "llm", "winner": "a"}
        for n in range(3)
    ]
    config = write_project(tmp_path, {"source": "r.jsonl"}, {"source": "v.jsonl", "kind": "judgments"})
    write_rows(tmp_path / "r.jsonl", rows("old"))
    write_rows(tmp_path / "v.jsonl", votes)
    ingest(config).close()
    monkeypatch.chdir(tmp_path)
    for text in ("new", "old"):  # and back again
        write_rows(tmp_path / "r.jsonl", rows(text))
        assert CliRunner().invoke(app, ["ingest", "--replace", "r.jsonl", "--yes"]).exit_code == 0
        with Lake.open(config.location) as lake:
            assert lake.value("SELECT count(*) FROM responses") == 6
            assert (
                lake.value("SELECT count(*) FROM judgments SEMI JOIN responses ON response_id = response_a")
                == 3
            )
            assert lake.value("SELECT count(*) FROM quarantine") == 0
