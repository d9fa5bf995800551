"""One row is the same pair to `curate ingest`, to `curate train FILE` and to `curate evaluate -b FILE`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from curate.config.ingest import Source
from curate.config.project import Config
from curate.data.conversation import Conversation, load_messages, read_messages
from curate.data.preference_pairs import read_pairs
from curate.evaluate.benchmark_reader import read_benchmark
from curate.ingest import ingest_responses
from curate.lake.lake import Lake

Turn = dict[str, Any]
Pair = tuple[Conversation, str | None, Conversation, Conversation]  # prompt, tools, better, worse

TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
TOOLS_TEXT = json.dumps(TOOLS, separators=(",", ":"))
CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": {"b": 2, "a": 1}}}


def user(content: Any) -> Turn:
    return {"role": "user", "content": content}


def says(content: Any, **also: Any) -> Turn:
    return {"role": "assistant", "content": content, **also}


def image(address: str | None = None) -> Turn:
    return {"type": "image"} if address is None else {"type": "image", "uri": address}


@dataclass(frozen=True)
class Case:
    """A row, with the pair that it is (prompt, better, worse as messages), or the kind of its refusal."""

    row: dict[str, Any]
    pair: tuple[list[Turn], list[Turn], list[Turn]] | None = None
    tools: str | None = None
    refusal: str | None = None


CASES = {
    "plain": Case(
        {"prompt": "1?", "chosen": "Yes.", "rejected": "No."}, ([user("1?")], [says("Yes.")], [says("No.")])
    ),
    "conversational": Case(
        {"prompt": [user("2?")], "chosen": [says("Yes.")], "rejected": [says("No.")]},
        ([user("2?")], [says("Yes.")], [says("No.")]),
    ),
    "implicit": Case(
        {"chosen": [user("3?"), says("Yes.")], "rejected": [user("3?"), says("No.")]},
        ([user("3?")], [says("Yes.")], [says("No.")]),
    ),
    "transcript of HH-RLHF": Case(
        {
            "chosen": "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: 4?\n\nAssistant: Yes.",
            "rejected": "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: 4?\n\nAssistant: Yesterday.",
        },
        ([user("Hi"), says("Hello"), user("4?")], [says("Yes.")], [says("Yesterday.")]),
    ),
    "images": Case(
        {
            "prompt": [user([image(), {"type": "text", "text": "5?"}])],
            "images": ["cat.png"],
            "chosen": [says([image("drawn.png")])],
            "rejected": [says("No.")],
        },
        (
            [user([image("cat.png"), {"type": "text", "text": "5?"}])],
            [says([image("drawn.png")])],
            [says("No.")],
        ),
    ),
    "tools": Case(
        {
            "prompt": [user("6?")],
            "tools": json.dumps(TOOLS),
            "chosen": [says(None, tool_calls=[CALL])],
            "rejected": [says("No.")],
        },
        ([user("6?")], [says("", tool_calls=[CALL])], [says("No.")]),
        tools=TOOLS_TEXT,
    ),
    "reasoning": Case(
        {
            "prompt": [user("7?")],
            "chosen": [says("Yes.", reasoning_content="7 is prime.")],
            "rejected": [says("Yes.")],
        },
        ([user("7?")], [says("Yes.", reasoning="7 is prime.")], [says("Yes.")]),
    ),
    "developer": Case(
        {
            "prompt": [{"role": "developer", "content": "Be brief."}, user("8?")],
            "chosen": [says("Yes.")],
            "rejected": [says("It depends.")],
        },
        (
            [{"role": "developer", "content": "Be brief."}, user("8?")],
            [says("Yes.")],
            [says("It depends.")],
        ),
    ),
    "response of several messages": Case(
        {
            "prompt": [user("9?")],
            "chosen": [
                says("", tool_calls=[CALL]),
                {"role": "tool", "tool_call_id": "1", "content": "3"},
                says("3."),
            ],
            "rejected": [says("4.")],
        },
        (
            [user("9?")],
            [
                says("", tool_calls=[CALL]),
                {"role": "tool", "tool_call_id": "1", "content": "3"},
                says("3."),
            ],
            [says("4.")],
        ),
    ),
    "sides with different numbers of turns": Case(
        {
            "chosen": [user("10?"), says("In which base?"), user("Two."), says("1010.")],
            "rejected": [user("10?"), says("No.")],
        },
        ([user("10?")], [says("In which base?"), user("Two."), says("1010.")], [says("No.")]),
    ),
    "system message on one side": Case(
        {
            "chosen": [{"role": "system", "content": "Be brief."}, user("11?"), says("Yes.")],
            "rejected": [user("11?"), says("No.")],
        },
        refusal="different contexts",
    ),
    "prompt as text beside conversations": Case(
        {
            "prompt": "12?\n",
            "chosen": [user("Hi"), says("Hello"), user("12?"), says("Yes.")],
            "rejected": [user("Hi"), says("Hello"), user("12?"), says("No.")],
        },
        ([user("Hi"), says("Hello"), user("12?")], [says("Yes.")], [says("No.")]),
    ),
    "empty": Case({"prompt": "13?", "chosen": [], "rejected": "No."}, refusal="no responses"),
    "equal": Case({"prompt": "14?", "chosen": "Yes.", "rejected": "Yes."}, refusal="same response twice"),
}


def build_expected(case: Case) -> Pair:
    assert case.pair is not None
    prompt, better, worse = (read_messages(turns, "here") for turns in case.pair)
    return prompt, case.tools, better, worse


def ingest_file(lake: Lake, file: Path) -> tuple[list[Pair], dict[str, int]]:
    config = Config()
    object.__setattr__(config, "_folder", file.parent)
    summary = ingest_responses(lake, [Source(source=str(file), format="trl-preference")], config)
    rows = lake.rows(
        """SELECT p.messages, p.tools, a.messages, b.messages, outcome FROM judgments j JOIN prompts p USING (prompt_id)
        JOIN responses a ON a.response_id = response_a JOIN responses b ON b.response_id = response_b"""
    )
    pairs = []
    for prompt, tools, a, b, outcome in rows:
        better, worse = (a, b) if outcome == "a" else (b, a)
        pairs.append((load_messages(prompt), tools, load_messages(better), load_messages(worse)))
    return pairs, summary.counts.dropped


def train_on_file(file: Path) -> tuple[list[Pair], dict[str, int]]:
    read = read_pairs(file)
    pairs = [
        (read.contexts[prompt], read.tools[prompt], read.responses[better], read.responses[worse])
        for prompt, better, worse in zip(read.prompt, read.chosen, read.rejected, strict=True)
    ]
    return pairs, read.dropped


def evaluate_file(file: Path) -> tuple[list[Pair], dict[str, int]]:
    benchmark = read_benchmark(file.name, folder=file.parent, form="native")
    assert all(item.tiers == (1, 2) for item in benchmark.items)
    return [(item.context, item.tools, *item.responses) for item in benchmark.items], benchmark.dropped  # type: ignore[misc]


def sort_pairs(pairs: list[Pair]) -> list[str]:
    return sorted(map(repr, pairs))


def write_rows(folder: Path, *rows: dict[str, Any]) -> Path:
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_the_three_readers_agree_on_fourteen_rows(lake: Lake, tmp_path: Path) -> None:
    assert len(CASES) == 14
    file = write_rows(tmp_path, *(case.row for case in CASES.values()))
    expected = sort_pairs([build_expected(case) for case in CASES.values() if case.pair is not None])
    refused = Counter(case.refusal for case in CASES.values() if case.refusal is not None)
    for pairs, dropped in (ingest_file(lake, file), train_on_file(file), evaluate_file(file)):
        assert sort_pairs(pairs) == expected
        assert dropped == refused


@pytest.mark.parametrize("form", ["text", "objects", "texts"])
def test_tools_are_the_same_in_every_form(form: str, lake: Lake, tmp_path: Path) -> None:
    """The hub keeps tools as JSON text, as a list of it, or as objects."""
    tools: dict[str, Any] = {
        "text": json.dumps(TOOLS),
        "objects": TOOLS,
        "texts": [json.dumps(tool) for tool in TOOLS],
    }
    row = {"prompt": "?", "chosen": "Yes.", "rejected": "No.", "tools": tools[form]}
    file = write_rows(tmp_path, row)
    for pairs, dropped in (ingest_file(lake, file), train_on_file(file), evaluate_file(file)):
        assert ([tools for _, tools, _, _ in pairs], dropped) == ([TOOLS_TEXT], {})
