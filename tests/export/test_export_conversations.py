"""Whole conversations: what is ingested comes out of an export as it was, and goes in again as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from curate.aggregate import aggregate_judgments
from curate.config.export import ExportEntry
from curate.config.project import Config, load_config
from curate.data.conversation import build_dicts, load_messages, parse_tools
from curate.data.json_columns import list_rows
from curate.data.preference_pairs import read_pairs
from curate.export import write_export
from curate.export.formats import list_row_types
from curate.ingest import ingest_sources
from curate.lake.lake import Lake, Location

TOOLS = [
    {
        "type": "function",
        "function": {"name": "search", "parameters": {"type": "object", "properties": {"q": {}}}},
    },
    {"name": "add", "description": "sum", "a": [1, "x", None]},
]
TRAJECTORY = [
    {
        "role": "assistant",
        "reasoning": "I should look it up.\n",
        "tool_calls": [
            {"id": "c1", "name": "search", "arguments": {"q": "pi", "n": [1, 2.5, None]}},
            {"id": "c2", "name": "add", "arguments": "not json"},
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "name": "search", "content": "3.14159"},
    {"role": "tool", "tool_call_id": "c2", "name": "add", "content": "error"},
    {"role": "assistant", "content": "It is 3.14159."},
]
PICTURE = {"type": "image", "uri": "https://x.org/b.png", "sha256": "0f", "mime_type": "image/png"}
ROWS: list[dict[str, Any]] = [
    {
        "id": "agent",
        "prompt": [{"role": "developer", "content": "Be exact."}, {"role": "user", "content": "What is pi?"}],
        "tools": TOOLS,
        "responses": [
            {"id": "long", "model": "m-0", "messages": TRAJECTORY},
            {"id": "short", "model": "m-1", "text": "About 3."},
        ],
    },
    {
        "id": "painter",
        "prompt": [
            {
                "role": "user",
                "name": "ada",
                "content": [{"type": "image", "uri": "https://x.org/a.png"}, {"text": "Blue?"}],
            }
        ],
        "responses": [
            {
                "id": "picture",
                "model": "m-0",
                "messages": [
                    {"role": "assistant", "content": [{"text": "Here:"}, PICTURE, {"text": "It is blue."}]}
                ],
            },
            {"id": "words", "model": "m-1", "text": "No."},
        ],
    },
]
VOTES = [
    {"prompt": "agent", "a": "long", "b": "short", "winner": "a", "annotator": "ada", "kind": "human"},
    {"prompt": "painter", "a": "picture", "b": "words", "winner": "a", "annotator": "ada", "kind": "human"},
]
CONFIG = """
ingest:
  - {source: rows.jsonl}
  - {source: votes.jsonl, kind: judgments}
"""


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def curated(lake: Lake, tmp_path: Path) -> tuple[Lake, Config]:
    """A lake with both prompts, labelled by a person."""
    write_lines(tmp_path / "rows.jsonl", ROWS)
    write_lines(tmp_path / "votes.jsonl", VOTES)
    (tmp_path / "curate.yaml").write_text(CONFIG, encoding="utf-8")
    config = load_config(tmp_path / "curate.yaml")
    summary = ingest_sources(lake, config)
    assert summary.counts.rows_dropped == 0
    aggregate_judgments(lake, config)
    return lake, config


def list_conversations(lake: Lake) -> list[tuple[Any, ...]]:
    """Prompts and responses without what an export has no place for: keys, sources and the ids that hang on them."""
    return lake.rows(
        "SELECT prompts.messages::VARCHAR, tools, responses.messages::VARCHAR FROM prompts "
        "JOIN responses USING (prompt_id) ORDER BY ALL"
    )


def read_out(folder: Path, part: str) -> list[dict[str, Any]]:
    if part == "data":
        return list_rows(pq.read_table(folder / "data" / "train-00000.parquet"))
    return [json.loads(line) for line in (folder / "jsonl" / "train-00000.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("form", ["trl-preference", "ranking"])
def test_conversations_come_out_and_go_in_as_they_were(
    curated: tuple[Lake, Config], tmp_path: Path, empty_lake: Path, form: str
) -> None:
    import shutil

    import datasets

    lake, config = curated
    out = tmp_path / "out"
    entry = ExportEntry.model_validate({"path": str(out), "format": form, "jsonl": True})
    assert write_export(lake, config, entry).rows == 2
    rows = read_out(out, "data")
    assert read_out(out, "jsonl") == rows
    row_type = list_row_types(conversations=True)[form]
    assert all(list(row) == list(row_type.model_fields) and row_type.model_validate(row) for row in rows)
    stored = {
        name: build_dicts(load_messages(messages))
        for name, messages in lake.rows("SELECT response_id, messages FROM responses")
    }
    prompts = {
        name: (build_dicts(load_messages(messages)), parse_tools(tools))
        for name, messages, tools in lake.rows("SELECT prompt_id, messages, tools FROM prompts")
    }
    for row in rows:
        assert (row["prompt"], row["tools"]) == prompts[row["prompt_id"]]
        if form == "ranking":
            answers = {each["response_id"]: each["messages"] for each in row["responses"]}
        else:
            answers = {row["chosen_id"]: row["chosen"], row["rejected_id"]: row["rejected"]}
        assert answers == {name: stored[name] for name in answers}
    assert sorted(row["images"] for row in rows) == [[], ["https://x.org/a.png"]]
    assert TOOLS in [row["tools"] for row in rows]

    loaded = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == rows
    schema = pq.read_schema(out / "data" / "train-00000.parquet")
    assert datasets.Features.from_arrow_schema(schema.remove_metadata()) == loaded.features

    conversations = {
        (load_messages(asked), tools, load_messages(answer))
        for asked, tools, answer in lake.rows(
            "SELECT prompts.messages, tools, responses.messages FROM prompts JOIN responses USING (prompt_id)"
        )
    }
    for part in ("data", "jsonl"):
        pairs = read_pairs(out / part)
        assert not pairs.dropped
        read = {
            (pairs.contexts[prompt], pairs.tools[prompt], answer)
            for prompt, answer in zip(pairs.prompt_of, pairs.responses, strict=True)
        }
        assert read == conversations

    for part, file in (("data", "train-00000.parquet"), ("jsonl", "train-00000.jsonl")):
        again = tmp_path / f"again-{part}"
        shutil.copytree(empty_lake, again / "lake")
        source: dict[str, Any] = {"source": str(out / part / file), "format": "trl-preference"}
        if form == "ranking":
            fields = {
                "prompt": "prompt", "responses": "responses", "response_text": "messages", "tools": "tools",
                "response_id": "response_id", "response_model": "model", "images": "images",
            }  # fmt: skip
            source |= {"format": "native", "fields": fields}
        settings = Config.model_validate({"ingest": [source]})
        with Lake.open(Location.under(again / "lake")) as other:
            summary = ingest_sources(other, settings)
            assert (summary.counts.rows_kept, summary.counts.rows_dropped) == (2, 0)
            assert list_conversations(other) == list_conversations(lake)


def test_images_of_this_machine_are_counted(lake: Lake, tmp_path: Path) -> None:
    """Whoever gets the folder has no such files; an address of the web says the same everywhere."""
    shown = [{"type": "image", "uri": "red.png"}, {"type": "image", "uri": "https://x.org/a.png"}]
    answers = [{"id": "a", "text": "Red."}, {"id": "b", "text": "Blue."}]
    rows = [
        {"id": "look", "prompt": [{"role": "user", "content": [*shown, {"text": "?"}]}], "responses": answers}
    ]
    votes = [{"prompt": "look", "a": "a", "b": "b", "winner": "a", "annotator": "ada", "kind": "human"}]
    (tmp_path / "red.png").write_bytes(b"no picture")
    write_lines(tmp_path / "rows.jsonl", rows)
    write_lines(tmp_path / "votes.jsonl", votes)
    (tmp_path / "curate.yaml").write_text(CONFIG, encoding="utf-8")
    config = load_config(tmp_path / "curate.yaml")
    assert ingest_sources(lake, config).counts.rows_dropped == 0
    aggregate_judgments(lake, config)
    for form in ("trl-preference", "llama-factory", "ms-swift"):
        out = tmp_path / form
        write_export(lake, config, ExportEntry(path=str(out), format=form))
        losses = json.loads((out / "manifest.json").read_text())["losses"]
        assert losses == {
            "images that are files of this machine, by their paths: they are not in this folder": 1
        }
        assert "files of this machine" in (out / "README.md").read_text(encoding="utf-8")
