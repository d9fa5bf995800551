"""Columns that belong to what was asked, and are not read: no two questions become one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.config.ingest import Fields
from curate.core.errors import CurateError
from curate.ingest.context import CONTEXT, is_context
from curate.lake.lake import Lake
from tests.ingest.samples import Take, lines, rejected

PAIR = {"prompt": "Which?", "chosen": "x", "rejected": "y"}
TWO_SCORES = [{"response": "x", "fine-grained_score": 4}, {"response": "y", "fine-grained_score": 1}]


def completions(*systems: str | None) -> list[dict[str, Any]]:
    return [
        {**completion, "custom_system_prompt": system}
        for completion, system in zip(TWO_SCORES, systems, strict=True)
    ]


CASES: dict[str, tuple[str, Fields | None, list[dict[str, Any]], str]] = {
    "input": (
        "trl-preference",
        None,
        [{**PAIR, "input": "carp, bat"}, {**PAIR, "input": "carp, wren"}],
        r"`input` would be dropped.*row 1 of .* and row 2 .*`fields: \{input: input\}`.*`fields: \{ignore: \[input\]",
    ),
    "tools, which nothing reads": (
        "trl-preference",
        None,
        [{**PAIR, "functions": [{"name": "clock"}]}, PAIR],
        r"`functions` would be dropped.*become one: write `fields: \{ignore: \[functions\]\}`",
    ),
    "several columns": (
        "trl-preference",
        Fields(system=None, images=None),
        [{**PAIR, "system": "s", "images": ["1.png"]}, {**PAIR, "system": "t", "images": ["2.png"]}],
        r"`images`, `system` would be dropped.*`fields: \{images: images, system: system\}` to read what can",
    ),
    "a name in another spelling": (
        "trl-preference",
        None,
        [{**PAIR, "System Prompt": "s"}, {**PAIR, "System Prompt": "t"}],
        "`System Prompt` would be dropped",
    ),
    "one that is only kept in meta": (
        "trl-preference",
        Fields(meta=["turn"]),
        [{**PAIR, "turn": 1}, {**PAIR, "turn": 2}],
        "`turn` would be dropped",
    ),
    "transcripts": (
        "hh-rlhf",
        None,
        [
            {"chosen": "\n\nHuman: q\n\nAssistant: x", "rejected": "\n\nHuman: q\n\nAssistant: y", "system": system}
            for system in ("s", "t")
        ],
        "`system` would be dropped",
    ),
    "a system prompt for each response": (
        "ultrafeedback",
        None,
        [{"instruction": "q", "completions": completions("Be brief.", "Be long.")}],
        r"`completions.custom_system_prompt` would be dropped.*\(.* in row 1 of .*become one: write `fields: \{ignore",
    ),
    "rows far apart": (
        "trl-preference",
        None,
        [{**PAIR, "input": "a"}, *({**PAIR, "prompt": f"p{n}"} for n in range(50)), {**PAIR, "input": "b"}],
        "row 1 of .* and row 52 of",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_rows_that_differ_only_in_unread_context_stop_the_source(case: str, lake: Lake, take: Take) -> None:
    format_name, fields, rows, message = CASES[case]
    with pytest.raises(CurateError, match=message) as caught:
        take("x.jsonl", lines(*rows), format=format_name, fields=fields, chunk=10)
    assert "\n" not in str(caught.value)
    assert lake.value("SELECT (SELECT count(*) FROM prompts) + (SELECT count(*) FROM runs)") == 0

    named = sorted({name for row in rows for name in row if is_context(name)} - {"instruction"})
    ignore = [*named, "completions.custom_system_prompt"]
    own = (fields or Fields()).model_copy(update={"ignore": ignore})
    take(
        "x.jsonl",
        lines(*rows),
        format=format_name,
        fields=Fields.model_validate(own.model_dump(exclude_unset=True)),
    )
    assert lake.value("SELECT count(*) FROM judgments") == len({row.get("prompt") for row in rows})
    assert rejected(lake) == []


SOUND: dict[str, list[dict[str, Any]]] = {
    "the same for all rows of a prompt": [{**PAIR, "input": "a"}, {**PAIR, "input": "a", "rejected": "z"}],
    "different prompts": [{**PAIR, "turn": 1}, {**PAIR, "prompt": "Who?", "turn": 2}],
    "nothing in several forms": [{**PAIR, "tools": None}, {**PAIR, "tools": []}, {**PAIR, "input": ""}],
    "another name, different prompts": [{**PAIR, "worker": "a"}, {**PAIR, "worker": "b", "prompt": "Who?"}],
    "a row that is rejected anyway": [{**PAIR, "input": "a"}, {**PAIR, "input": "b", "chosen": 5}],
}


@pytest.mark.parametrize("case", SOUND)
def test_other_columns_stop_nothing(case: str, lake: Lake, take: Take) -> None:
    take("x.jsonl", lines(*SOUND[case]), format="trl-preference")
    assert lake.value("SELECT count(*) FROM judgments") >= 1


def test_every_column_is_read_or_kept_or_ignored(lake: Lake, take: Take) -> None:
    rows = [
        {**PAIR, "worker": "a", "state": {"at": 1}},
        {**PAIR, "worker": "b", "state": {"at": 2}, "rejected": "z"},
    ]
    with pytest.raises(
        CurateError, match=r"`state`, `worker` would be dropped.*annotator: worker.*meta: \[state, worker"
    ):
        take("x.jsonl", lines(*rows), format="trl-preference")
    take(
        "x.jsonl", lines(*rows), format="trl-preference", fields=Fields(annotator="worker", meta=["state.at"])
    )
    assert lake.rows("SELECT annotator_id, kind, raw FROM judgments ORDER BY ALL") == [
        ("a", "human", '{"meta": {"state.at": 1}}'),
        ("b", "human", '{"meta": {"state.at": 2}}'),
    ]


def test_a_path_that_few_rows_have_is_a_slip(lake: Lake, take: Take) -> None:
    rows = [
        {**PAIR, "prompt": f"{number}?", **({"why": "x"} if number == 7 else {})} for number in range(300)
    ]
    with pytest.raises(CurateError, match=r"`why` is in 1 of 300 rows.*optional: \[why\]"):
        take("x.jsonl", lines(*rows), format="trl-preference", fields=Fields(rationale="why"))
    take("x.jsonl", lines(*rows), format="trl-preference", fields=Fields(rationale="why", optional=["why"]))
    assert lake.value("SELECT count(*) FROM judgments WHERE rationale = 'x'") == 1


def test_a_table_is_looked_through_too(lake: Lake, take: Take, tmp_path: Path) -> None:
    rows = [{**PAIR, "input": "a"}, {**PAIR, "input": "b"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    with pytest.raises(CurateError, match="`input` would be dropped"):
        take("x.parquet", format="trl-preference")
    take("x.csv", b"prompt,chosen,rejected\nWhich?,x,y\n", format="trl-preference")
    with pytest.raises(CurateError, match="`input` would be dropped"):
        take("y.csv", b"prompt,chosen,rejected,input\nWhich?,x,y,a\nWhich?,x,y,b\n", format="trl-preference")


def test_files_of_one_source_are_compared(lake: Lake, take: Take, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_bytes(lines({**PAIR, "input": name}))
    with pytest.raises(CurateError, match=r"row 1 of .*a\.jsonl and row 1 of .*b\.jsonl"):
        take("*.jsonl", format="trl-preference")
    assert lake.value("SELECT count(*) FROM prompts") == 0


def test_judgments_that_differ_in_the_turn_stop(lake: Lake, take: Take) -> None:
    responses = [{"id": "r1", "text": "x"}, {"id": "r2", "text": "y"}]
    take("responses.jsonl", lines({"id": "q", "prompt": "p", "responses": responses}))
    vote = {"q": "q", "a": "r1", "b": "r2", "annotator": "j", "winner": "a"}
    content = lines({**vote, "turn": 1}, {**vote, "turn": 2, "winner": "b"})
    with pytest.raises(CurateError, match="`turn` would be dropped"):
        take("votes.jsonl", content, kind="judgments", fields=Fields(prompt="q"))
    take("votes.jsonl", content, kind="judgments", fields=Fields(prompt="q", ignore=["turn"]))
    assert lake.value("SELECT count(*) FROM judgments") == 2


def test_the_documentation_lists_the_names() -> None:
    text = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    assert [name for name in sorted(CONTEXT) if f"`{name}`" not in text] == []
