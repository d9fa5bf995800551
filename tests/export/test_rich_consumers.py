"""Conversations with tools, calls, reasoning and images: said as the consumer reads them, or left out and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from curate.aggregate import aggregate_judgments
from curate.config.export import ExportEntry
from curate.config.project import Config, load_config
from curate.core.errors import CurateError
from curate.data.json_columns import list_rows
from curate.export import write_export
from curate.export.consumers import find_consumer
from curate.ingest import ingest_sources
from curate.lake.lake import Lake

TOOLS = [
    {"type": "function", "function": {"name": "search", "parameters": {"type": "object", "properties": {}}}}
]
CALL = {"role": "assistant", "tool_calls": [{"id": "c", "name": "search", "arguments": {"q": "pi"}}]}
ANSWERS: dict[str, tuple[dict[str, Any], list[Any]]] = {  # id → the prompt, and its better and worse response
    "plain": ({"prompt": "Why?"}, ["Because.", "No."]),
    "system": (
        {"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}]},
        ["Ada.", "Bob."],
    ),
    "thinker": (
        {"prompt": "How much?"},
        [[{"role": "assistant", "reasoning": "6 times 7", "content": "42"}], "43"],
    ),
    "caller": ({"prompt": "What is pi?", "tools": TOOLS}, [[CALL], "About 3."]),
    "agent": (
        {"prompt": "What is pi again?", "tools": TOOLS},
        [
            [
                CALL,
                {"role": "tool", "tool_call_id": "c", "content": "3.14"},
                {"role": "assistant", "content": "3.14"},
            ],
            "About 3.",
        ],
    ),
    "painter": (
        {
            "prompt": [
                {
                    "role": "user",
                    "content": [{"type": "image", "uri": "https://x.org/a.png"}, {"text": "Blue?"}],
                }
            ]
        },
        ["Yes.", "No."],
    ),
}


@pytest.fixture
def curated(lake: Lake, tmp_path: Path) -> tuple[Lake, Config]:
    rows, votes = [], []
    for name, (asked, answers) in ANSWERS.items():
        responses = [
            {
                "id": f"{name}-{number}",
                "model": f"m-{number}",
                "text" if isinstance(said, str) else "messages": said,
            }
            for number, said in enumerate(answers)
        ]
        rows.append({"id": name, **asked, "responses": responses})
        vote = {
            "prompt": name,
            "a": f"{name}-0",
            "b": f"{name}-1",
            "winner": "a",
            "annotator": "ada",
            "kind": "human",
        }
        votes.append(vote)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "votes.jsonl").write_text("".join(json.dumps(vote) + "\n" for vote in votes))
    (tmp_path / "curate.yaml").write_text(
        "ingest: [{source: rows.jsonl}, {source: votes.jsonl, kind: judgments}]\n"
    )
    config = load_config(tmp_path / "curate.yaml")
    assert ingest_sources(lake, config).counts.rows_dropped == 0
    aggregate_judgments(lake, config)
    return lake, config


def write(
    curated: tuple[Lake, Config], out: Path, consumer: str
) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
    """Return the rows by the id of their prompt, and what was left out."""
    lake, config = curated
    found = find_consumer(consumer)
    entry = ExportEntry.model_validate({"path": str(out), "format": found.choice, **found.settings})
    result = write_export(lake, config, entry)
    keys = dict(lake.rows("SELECT prompt_id, key FROM prompts"))
    (file,) = (out / "data").glob("*.parquet")
    return {keys[row["prompt_id"]]: row for row in list_rows(pq.read_table(file))}, dict(
        result.counts.dropped
    )


def test_llama_factory_has_turns_for_calls_and_marks_for_images(
    curated: tuple[Lake, Config], tmp_path: Path
) -> None:
    rows, dropped = write(curated, tmp_path / "out", "llama-factory")
    assert dropped == {"a response of several messages, of which this consumer reads one": 1}
    assert set(rows) == set(ANSWERS) - {"agent"}
    assert rows["system"]["system"] == "Be brief."
    assert [turn["role"] for turn in rows["system"]["messages"]] == ["user"]
    assert rows["thinker"]["chosen"]["content"] == "<think>\n6 times 7\n</think>\n\n42"
    assert rows["caller"]["chosen"]["role"] == "function_call"
    assert json.loads(rows["caller"]["chosen"]["content"]) == [{"name": "search", "arguments": {"q": "pi"}}]
    assert json.loads(rows["caller"]["tools"]) == TOOLS
    assert rows["painter"]["messages"][0]["content"] == "<image>\nBlue?"
    assert rows["painter"]["images"] == ["https://x.org/a.png"]
    info = json.loads((tmp_path / "out" / "dataset_info.json").read_text())
    assert info["train"]["columns"]["images"] == "images"


def test_ms_swift_has_whole_rejected_conversations(curated: tuple[Lake, Config], tmp_path: Path) -> None:
    rows, dropped = write(curated, tmp_path / "out", "ms-swift")
    assert dropped == {}
    assert set(rows) == set(ANSWERS)
    assert [turn["role"] for turn in rows["agent"]["messages"]] == [
        "user",
        "tool_call",
        "tool_response",
        "assistant",
    ]
    assert [turn["role"] for turn in rows["agent"]["rejected_messages"]] == ["user", "assistant"]
    assert json.loads(rows["agent"]["messages"][1]["content"]) == {"name": "search", "arguments": {"q": "pi"}}
    assert rows["agent"]["rejected_tools"] == rows["agent"]["tools"]
    assert rows["painter"]["rejected_images"] == ["https://x.org/a.png"]


@pytest.mark.parametrize("consumer", ["nemo-rl", "axolotl", "reward-bench"])
def test_who_reads_texts_alone_is_given_texts_alone(
    curated: tuple[Lake, Config], tmp_path: Path, consumer: str
) -> None:
    rows, dropped = write(curated, tmp_path / "out", consumer)
    assert set(rows) == {"plain", "thinker", "system"} - ({"system"} if consumer == "reward-bench" else set())
    assert sum(dropped.values()) == len(ANSWERS) - len(rows)
    assert dropped["tools, which this consumer does not read"] == 2
    assert dropped["images, which this consumer does not read"] == 1


def test_prompts_for_verl(curated: tuple[Lake, Config], tmp_path: Path) -> None:
    lake, config = curated
    result = write_export(lake, config, ExportEntry(path=str(tmp_path / "out"), format="verl"))
    assert result.rows == 4
    rows = list_rows(pq.read_table(tmp_path / "out" / "data" / "train-00000.parquet"))
    assert [row["images"] for row in rows if row["images"]] == [[{"image": "https://x.org/a.png"}]]


def test_a_benchmark_of_texts(curated: tuple[Lake, Config], tmp_path: Path) -> None:
    rows, dropped = write(curated, tmp_path / "out", "reward-bench-2")
    assert set(rows) == {"plain", "thinker"}
    assert sum(dropped.values()) == 4


def test_nothing_is_written_where_nothing_can_be_said(curated: tuple[Lake, Config], tmp_path: Path) -> None:
    lake, config = curated
    lake.rows(
        "DELETE FROM lake.preferences WHERE prompt_id NOT IN (SELECT prompt_id FROM lake.prompts WHERE key = 'agent')"
    )
    with pytest.raises(CurateError, match="tools, which this consumer does not read: 1"):
        write_export(lake, config, ExportEntry(path=str(tmp_path / "out"), format="axolotl"))


def test_shared_messages_of_trajectories_move_into_the_prompt(lake: Lake, tmp_path: Path) -> None:
    result = {"role": "tool", "tool_call_id": "c", "content": "3.14"}

    def answer(text: str) -> dict[str, str]:
        return {"role": "assistant", "content": text}

    trajectories = {
        "right": [CALL, result, answer("3.14")],
        "wrong": [CALL, result, answer("4")],
        "lazy": [answer("3")],
        "same": [CALL, result, answer("3.14"), {"role": "user", "content": "Sure?"}, answer("Yes.")],
    }
    responses = [{"id": name, "messages": messages} for name, messages in trajectories.items()]
    row = {"id": "p", "prompt": "What is pi?", "tools": TOOLS, "responses": responses}
    order = ["same", "right", "wrong", "lazy"]
    votes = [
        {"prompt": "p", "a": better, "b": worse, "winner": "a", "annotator": "ada", "kind": "human"}
        for place, better in enumerate(order)
        for worse in order[place + 1 :]
    ]
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "votes.jsonl").write_text("".join(json.dumps(vote) + "\n" for vote in votes))
    (tmp_path / "curate.yaml").write_text(
        "ingest: [{source: rows.jsonl}, {source: votes.jsonl, kind: judgments}]\n"
    )
    config = load_config(tmp_path / "curate.yaml")
    assert ingest_sources(lake, config).counts.rows_dropped == 0
    aggregate_judgments(lake, config)
    entry = ExportEntry.model_validate({"path": str(tmp_path / "out"), "format": "tree-preference"})
    write_export(lake, config, entry)
    (file,) = (tmp_path / "out" / "data").glob("*.parquet")
    rows = list_rows(pq.read_table(file))
    keys = dict(lake.rows("SELECT response_id, key FROM responses"))
    by_pair = {(keys[row["chosen_id"]], keys[row["rejected_id"]]): row for row in rows}
    assert {pair: row["depth"] for pair, row in by_pair.items()} == {
        ("same", "right"): 2,  # one message of each response stays
        ("same", "wrong"): 2,
        ("same", "lazy"): 0,
        ("right", "wrong"): 2,
        ("right", "lazy"): 0,
        ("wrong", "lazy"): 0,
    }
    branch = by_pair["right", "wrong"]
    assert [message["role"] for message in branch["prompt"]] == ["user", "assistant", "tool"]
    assert [message["content"] for message in branch["chosen"]] == ["3.14"]
    assert [message["content"] for message in branch["rejected"]] == ["4"]
    assert len({row["node_id"] for row in rows}) == 2
    root = by_pair["right", "lazy"]
    assert [branch["path"][0], branch["path"][-1]] == [root["node_id"], branch["node_id"]]
