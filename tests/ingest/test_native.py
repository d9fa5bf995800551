"""The fast decoder against the pydantic model, and the fast ids against the recipe of the records."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.core.identity import content_id
from curate.data.conversation import normalize_arguments, text_answer, text_message
from curate.data.native import JudgmentsRow, ResponsesRow
from curate.ingest.columns import build_columns, compute_prompt_ids, compute_response_ids
from curate.ingest.native import NativeDecoder, make_native_judgments_decoder, make_native_responses_decoder
from curate.ingest.rejection import RowError
from curate.ingest.rows import IncomingMessage, JudgmentRow, NativeRow
from curate.records import Message, Part, Prompt, Response, ToolCall, prompt_id, response_id, text_parts

RESPONSES, JUDGMENTS = make_native_responses_decoder(), make_native_judgments_decoder()

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
words = st.text(max_size=12) | st.sampled_from(["", " ", "\0", "\\u0000", "é", "\U0001f600", "\r\n"])
surrogates = st.sampled_from(["\ud800", "a\udfff"])
parts = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image", "video"])},
    optional={"text": words | st.none(), "uri": words | st.none(), "sha256": words},
)
calls = st.fixed_dictionaries(
    {
        "name": words,
        "arguments": words
        | st.dictionaries(words, st.integers() | words, max_size=2)
        | st.just('{"b": 1, "a": 2}'),
    },
    optional={"id": words | st.none()},
)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool"])},
    optional={
        "content": words | st.lists(parts, max_size=2),
        "reasoning": words | st.none(),
        "tool_calls": st.lists(calls, max_size=2),
        "tool_call_id": words | st.none(),
        "name": words | st.none(),
        "is_target": st.booleans() | st.none(),
    },
)
prompts = words | st.lists(messages, max_size=3)
candidates = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", "c", ""]) | words, "text": words},
    optional={"model": words | st.none()},
) | st.fixed_dictionaries(
    {"id": words, "messages": st.lists(messages, max_size=2)}, optional={"text": words, "model": words}
)
sound_rows = st.fixed_dictionaries(
    {"id": words, "prompt": prompts, "responses": st.lists(candidates, max_size=4)},
    optional={
        "reference": words | st.none(),
        "meta": st.dictionaries(words, anything, max_size=3) | st.none(),
        "tools": st.lists(st.dictionaries(words, words, max_size=2), max_size=2) | st.none(),
    },
)
judgment_rows = st.fixed_dictionaries(
    {
        "prompt": words,
        "a": st.sampled_from(["x", "y"]),
        "b": st.sampled_from(["x", "y", "z"]),
        "annotator": words,
        "kind": st.sampled_from(["llm", "human", "imported"]),
        "winner": st.sampled_from(["a", "b", "tie", "abstain", "failed"]),
    },
    optional={
        "shown": st.sampled_from(["ab", "ba", None]),
        "p_a": st.floats(-0.5, 1.5) | st.none() | st.sampled_from([0, 1]),
        "rationale": words | st.none(),
    },
)


def disturbed(rows: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Rows of which some have a key replaced by anything."""
    keys = st.sampled_from(["id", "prompt", "responses", "meta", "winner", "p_a", "other"])
    return rows | st.builds(lambda row, key, value: {**row, key: value}, rows, keys, anything | surrogates)


def outcomes(decoder: NativeDecoder[Any], raw: bytes | dict[str, Any]) -> tuple[Any, Any]:
    """What the decoder makes of a row, and what its careful way alone does."""
    found = []
    for decode in (decoder, decoder.decode_carefully):
        try:
            found.append(decode(raw))
        except RowError as error:
            found.append((error.kind, error.reason))
    return found[0], found[1]


@settings(max_examples=300)
@given(disturbed(sound_rows))
def test_responses_decode_fast_as_they_do_carefully(row: dict[str, Any]) -> None:
    fast, careful = outcomes(RESPONSES, json.dumps(row).encode("utf-8", "surrogatepass"))
    assert fast == careful


@settings(max_examples=200)
@given(disturbed(judgment_rows))
def test_judgments_decode_fast_as_they_do_carefully(row: dict[str, Any]) -> None:
    fast, careful = outcomes(JUDGMENTS, json.dumps(row).encode())
    assert fast == careful


@settings(max_examples=200)
@given(disturbed(sound_rows))
def test_rows_of_tables_decode_as_lines_do(row: dict[str, Any]) -> None:
    fast, careful = outcomes(RESPONSES, row)
    assert fast == careful
    if isinstance(fast, NativeRow):
        line = json.dumps(row)
        if "NaN" not in line and "Infinity" not in line:
            assert RESPONSES(line.encode()) == fast


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda noise: b'{"id": "' + noise + b'"}'))
def test_noise_is_rejected_with_a_sentence(line: bytes) -> None:
    with pytest.raises(RowError) as caught:
        RESPONSES(line)
    assert caught.value.reason.endswith(".")
    assert "\n" not in caught.value.reason
    assert "pydantic" not in caught.value.reason


def test_the_fast_way_is_taken_by_sound_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: object, raw: object) -> object:
        raise AssertionError("the careful way was taken")

    monkeypatch.setattr(NativeDecoder, "decode_carefully", never)
    row = {"id": "q", "prompt": "p", "responses": [{"id": "a", "text": ""}, {"id": "b", "text": "é"}]}
    judgment = {"prompt": "q", "a": "a", "b": "b", "annotator": "x", "kind": "llm", "winner": "tie", "p_a": 1}
    assert isinstance(RESPONSES(json.dumps(row).encode()), NativeRow)
    assert isinstance(RESPONSES(row), NativeRow)
    assert isinstance(JUDGMENTS(json.dumps(judgment).encode()), JudgmentRow)


def message_of(turn: IncomingMessage) -> Message:
    if isinstance(turn.content, str):
        content = text_parts(turn.content)
    else:
        content = tuple(
            Part(type=p.type, text=p.text, uri=p.uri, sha256=p.sha256, mime_type=p.mime_type)
            for p in turn.content or ()
        )
    calls = tuple(
        ToolCall(id=call.id, name=call.name, arguments=normalize_arguments(call.arguments))
        for call in turn.tool_calls
    )
    if content == text_parts("") and (turn.reasoning or calls):
        content = ()
    return Message(
        role=turn.role,
        content=content or (() if turn.reasoning or calls else text_parts("")),
        reasoning=turn.reasoning,
        tool_calls=calls,
        tool_call_id=turn.tool_call_id,
        name=turn.name,
        is_target=turn.is_target,
    )


def records_of(row: NativeRow) -> tuple[Prompt, list[Response]]:
    """The slow, plain way from a row to records."""
    turns = (
        (text_message("user", row.prompt),)
        if isinstance(row.prompt, str)
        else tuple(map(message_of, row.prompt))
    )
    tools = json.dumps(row.tools, ensure_ascii=False, separators=(",", ":")) if row.tools else None
    identity = prompt_id(turns, key=row.id, reference=row.reference, tools=tools)
    prompt = Prompt(
        prompt_id=identity,
        messages=turns,
        source="s",
        split="train",
        reference=row.reference,
        key=row.id,
        meta=None if row.meta is None else json.dumps(row.meta, ensure_ascii=False, separators=(",", ":")),
        tools=tools,
    )
    responses = []
    for each in row.responses:
        answer = (
            text_answer(each.text or "") if each.messages is None else tuple(map(message_of, each.messages))
        )
        responses.append(
            Response(
                response_id=response_id(identity, answer, key=each.id, model=each.model),
                prompt_id=identity,
                model=each.model,
                messages=answer,
                key=each.id,
            )
        )
    return prompt, responses


@settings(max_examples=100)
@given(st.lists(sound_rows, max_size=5))
def test_columns_hold_what_records_would(rows: list[dict[str, Any]]) -> None:
    decoded = []
    for row in rows:
        try:
            decoded.append(RESPONSES(row))
        except RowError:
            continue
    for row in decoded:
        if row.meta is not None:  # floats are written in several ways; the ids do not depend on them
            row.meta = {"kept": "as it is"}
    expected = [records_of(row) for row in decoded]
    columns = build_columns(decoded, source="s", split="train")
    assert columns.prompts.to_pylist() == [_dumped(prompt) for prompt, _ in expected]
    assert columns.responses.to_pylist() == [_dumped(each) for _, responses in expected for each in responses]
    assert columns.owner.tolist() == [i for i, (_, responses) in enumerate(expected) for _ in responses]
    halves = [[int(i[:16], 16), int(i[16:], 16)] for i in columns.prompts["prompt_id"].to_pylist()]
    assert columns.prompt_ids.tolist() == halves


def _dumped(record: Prompt | Response) -> dict[str, Any]:
    """Arrow gives lists where records have tuples."""
    dumped: dict[str, Any] = json.loads(record.model_dump_json())
    return dumped


def test_ids_are_the_documented_hash() -> None:
    """A change here would make every row that was ever ingested a new one."""
    row = RESPONSES(b'{"id":"q1","prompt":"Why?","responses":[{"id":"r1","model":"m","text":"So."}]}')
    (prompt,) = compute_prompt_ids([row])
    assert prompt == content_id("q1", None, [["user", [["text", "Why?", None, None]]]])
    assert prompt == "7d99b9459552b824859b076dbc3c1932"
    assert compute_response_ids([row], [prompt]) == ["f1db97c9dccfe476f8e01f8dfbaf144e"]


def test_models_know_the_keys_of_the_fast_rows() -> None:
    assert list(ResponsesRow.model_fields) == list(NativeRow.__struct_fields__)
    assert set(JudgmentsRow.model_fields) == set(JudgmentRow.__struct_fields__)
