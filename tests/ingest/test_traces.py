"""Logs of APIs and traces of applications: requests with answers, spans of three conventions, Langfuse's exports."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.config.ingest import Source
from curate.config.project import Config
from curate.ingest.decoders import make_responses_decoder
from curate.ingest.recognition import Recognition, recognize_source
from curate.ingest.rejection import RowError
from curate.ingest.rows import Row
from curate.lake.lake import Lake
from tests.ingest.samples import Take, lines, rejected

CALL = {"id": "c1", "type": "function", "function": {"name": "count", "arguments": '{"of": "trees"}'}}
TOOL = {"type": "function", "function": {"name": "count", "parameters": {"type": "object"}}}
CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How many trees?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "7"},
]
TURNS = [("system", "Be brief."), ("user", "How many trees?"), ("assistant", ""), ("tool", "7")]


def read(shape: str, row: dict[str, Any]) -> list[Row]:
    found = make_responses_decoder(Source(source="x.jsonl", format=shape), name="log")(
        json.dumps(row).encode()
    )
    assert isinstance(found, list)
    return found


def describe(prompt: Any) -> list[tuple[str, str]]:
    if isinstance(prompt, str):
        return [("user", prompt)]
    return [(turn.role, "".join(part.text or "" for part in turn.content)) for turn in prompt]


def answer(row: Row, place: int = 0) -> str:
    answered = row.responses[place].answer
    return answered if isinstance(answered, str) else describe(answered)[-1][1]


def make_completion(*texts: str, **more: Any) -> dict[str, Any]:
    choices = [
        {"index": n, "message": {"role": "assistant", "content": text}} for n, text in enumerate(texts)
    ]
    return {"object": "chat.completion", "model": "m-1", "choices": choices, **more}


def make_attributes(convention: str) -> dict[str, Any]:
    """The same call of a model in three conventions."""
    if convention == "genai":
        asked = [
            {"role": "user", "parts": [{"type": "text", "content": "How many trees?"}]},
            {
                "role": "assistant",
                "parts": [{"type": "tool_call", "id": "c1", "name": "count", "arguments": {"of": "trees"}}],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "7"}]},
        ]
        said = [{"type": "reasoning", "content": "The tool says 7."}, {"type": "text", "content": "Seven."}]
        return {
            "gen_ai.response.model": "m-1",
            "gen_ai.request.model": "m",
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
            "gen_ai.input.messages": json.dumps(asked),
            "gen_ai.output.messages": json.dumps(
                [{"role": "assistant", "parts": said, "finish_reason": "stop"}]
            ),
            "gen_ai.tool.definitions": json.dumps([TOOL]),
        }
    if convention == "openllmetry":
        place, call = "gen_ai.prompt", "tool_calls.0"
        return {
            "gen_ai.request.model": "m-1",
            **{f"{place}.{n}.role": turn["role"] for n, turn in enumerate(CHAT)},
            **{f"{place}.{n}.content": turn["content"] for n, turn in enumerate(CHAT) if turn["content"]},
            f"{place}.2.{call}.id": "c1",
            f"{place}.2.{call}.name": "count",
            f"{place}.2.{call}.arguments": '{"of": "trees"}',
            f"{place}.3.tool_call_id": "c1",
            "gen_ai.completion.0.content": "Seven.",
            "gen_ai.completion.0.finish_reason": "stop",
            "llm.request.functions.0.name": "count",
            "llm.request.functions.0.parameters": '{"type": "object"}',
        }
    place, call = "llm.input_messages", "message.tool_calls.0.tool_call"
    return {
        "openinference.span.kind": "LLM",
        "llm.model_name": "m-1",
        **{f"{place}.{n}.message.role": turn["role"] for n, turn in enumerate(CHAT)},
        **{f"{place}.{n}.message.content": turn["content"] for n, turn in enumerate(CHAT) if turn["content"]},
        f"{place}.2.{call}.id": "c1",
        f"{place}.2.{call}.function.name": "count",
        f"{place}.2.{call}.function.arguments": '{"of": "trees"}',
        f"{place}.3.message.tool_call_id": "c1",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "Seven.",
        "llm.tools.0.tool.json_schema": json.dumps(TOOL),
    }


def assert_is_the_call(row: Row) -> None:
    assert describe(row.prompt) == TURNS
    assert not isinstance(row.prompt, str)
    (call,) = row.prompt[2].tool_calls
    assert (call.id, call.name, json.loads(call.arguments)) == ("c1", "count", {"of": "trees"})
    assert row.prompt[3].tool_call_id == "c1"
    assert [response.model for response in row.responses] == ["m-1"]
    assert answer(row) == "Seven."
    assert row.tools is not None
    assert json.loads(row.tools)[0]["function"]["name"] == "count"


# OpenAI's logs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where", ["request and response", "body and response", "at the top", "messages and response"]
)
def test_every_choice_of_a_logged_call_is_a_response(where: str) -> None:
    request = {"model": "m", "messages": CHAT, "tools": [TOOL], "n": 2}
    completion = make_completion("Seven.", "Eight, I think.")
    (row,) = read(
        "openai-log",
        {
            "request and response": {"request": request, "response": completion},
            "body and response": {"body": request, "response": {"status_code": 200, "body": completion}},
            "at the top": {**request, **completion},
            "messages and response": {**request, "response": json.dumps(completion)},  # a table of LiteLLM
        }[where],
    )
    assert [answer(row, place) for place in (0, 1)] == ["Seven.", "Eight, I think."]
    row.responses.pop()
    assert_is_the_call(row)


def test_the_responses_api() -> None:
    request = {
        "model": "m",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "How many trees?"}]},
            {"type": "function_call", "call_id": "c1", "name": "count", "arguments": '{"of": "trees"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "7"},
        ],
        "tools": [TOOL],
    }
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "The tool says 7."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Seven."}]},
    ]
    (row,) = read("openai-log", {"request": request, "response": {"model": "m-1", "output": output}})
    assert_is_the_call(row)
    assert row.responses[0].messages is not None
    assert row.responses[0].messages[0].reasoning == "The tool says 7."
    (row,) = read(
        "openai-log", {"request": {"input": "How many?"}, "response": {"output": [{**output[1], "id": "x"}]}}
    )
    assert (row.prompt, row.responses[0].text) == ("How many?", "Seven.")


def test_plain_completions_refusals_and_functions() -> None:
    (row,) = read(
        "openai-log", {"request": {"prompt": "A tree:"}, "response": {"choices": [{"text": "oak"}]}}
    )
    assert (row.prompt, answer(row)) == ("A tree:", "oak")
    refused = {"choices": [{"message": {"role": "assistant", "content": None, "refusal": "I cannot."}}]}
    asked = {"messages": CHAT[1:2], "functions": [TOOL["function"]]}
    (row,) = read("openai-log", {"request": asked, "response": refused})
    assert answer(row) == "I cannot."
    assert row.tools is not None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"custom_id": "r1", "response": {"status_code": 200, "body": make_completion("7")}}, "join"),
        ({"request": {"messages": CHAT}, "response": {"status_code": 500, "body": {}}}, "failed"),
        ({"request": {"messages": CHAT}, "response": None, "error": {"message": "time-out"}}, "time-out"),
        ({"request": {"messages": CHAT}, "response": {"choices": []}}, "no answer"),
        ({"request": {"messages": CHAT}, "response": {"choices": [{"delta": {"content": "S"}}]}}, "stream"),
        (
            {"request": {"input": [{"type": "item_reference", "id": "x"}]}, "response": {"output": [1]}},
            "no message",
        ),
    ],
)
def test_what_is_no_call_with_an_answer_is_rejected(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        read("openai-log", row)


# Spans -------------------------------------------------------------------------------------------------------------


def make_otlp(attributes: dict[str, Any]) -> dict[str, Any]:
    pairs = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
    return {"traceId": "t", "spanId": "s", "name": "chat", "attributes": pairs}


@pytest.mark.parametrize("convention", ["genai", "openllmetry", "openinference"])
def test_one_call_in_three_conventions(convention: str) -> None:
    attributes = make_attributes(convention)
    (row,) = read("genai-spans", {"span_id": "s", "attributes": attributes})
    assert_is_the_call(row)
    assert_is_the_call(read("genai-spans", make_otlp(attributes))[0])
    assert_is_the_call(
        read("genai-spans", {f"attributes.{key}": value for key, value in attributes.items()})[0]
    )
    spans = [make_otlp({"http.method": "GET"}), make_otlp(attributes), make_otlp(attributes)]
    rows = read("genai-spans", {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
    assert len(rows) == 2  # the other one calls no model
    assert_is_the_call(rows[1])


def test_a_table_of_phoenix() -> None:
    """Its lists are whole, with names that have dots, or objects in objects."""
    dotted = {"message.role": "user", "message.content": "Name a tree."}
    nested = {
        "message": {
            "role": "user",
            "contents": [{"message_content": {"type": "text", "text": "Name a tree."}}],
        }
    }
    for asked in (dotted, nested):
        (row,) = read(
            "genai-spans",
            {
                "attributes.llm.input_messages": [asked],
                "attributes.llm.output_messages": [
                    {"message.role": "assistant", "message.content": "An oak."}
                ],
            },
        )
        assert (describe(row.prompt), answer(row)) == ([("user", "Name a tree.")], "An oak.")


def test_pictures_in_spans() -> None:
    parts = [
        {"type": "text", "content": "What is it?"},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBORw0K"},
        {"type": "uri", "modality": "image", "uri": "https://pictures.example/tree.png"},
    ]
    said = [{"role": "assistant", "parts": [{"type": "text", "content": "A tree."}]}]
    held = {"gen_ai.input.messages": [{"role": "user", "parts": parts}], "gen_ai.output.messages": said}
    (row,) = read("genai-spans", {"span_id": "s", "attributes": held})
    assert not isinstance(row.prompt, str)
    addresses = [part.uri for part in row.prompt[0].content if part.type == "image"]
    assert addresses == ["data:image/png;base64,iVBORw0K", "https://pictures.example/tree.png"]


def test_a_span_that_calls_no_model_is_rejected() -> None:
    with pytest.raises(RowError, match="no messages to a model"):
        read("genai-spans", {"span_id": "s", "attributes": {"http.method": "GET"}})
    unknown = [{"role": "user", "parts": [{"type": "hologram", "content": "x"}]}]
    held = {"gen_ai.input.messages": unknown, "gen_ai.output.messages": unknown}
    with pytest.raises(RowError, match="hologram"):
        read("genai-spans", {"span_id": "s", "attributes": held})


# Langfuse ----------------------------------------------------------------------------------------------------------


def make_generation(**changes: Any) -> dict[str, Any]:
    return {
        "id": "g1",
        "traceId": "t1",
        "type": "GENERATION",
        "model": "m-1",
        "input": {"messages": CHAT, "tools": [TOOL]},
        "output": {"role": "assistant", "content": "Seven."},
    } | changes


@pytest.mark.parametrize("as_text", [False, True])
def test_a_generation_of_langfuse(as_text: bool) -> None:
    row = make_generation()
    if as_text:  # as its CSV has them
        row |= {name: json.dumps(row[name]) for name in ("input", "output")}
    assert_is_the_call(read("langfuse", row)[0])
    (plain,) = read("langfuse", make_generation(input="Name a tree.", output="An oak."))
    assert (plain.prompt, answer(plain)) == ("Name a tree.", "An oak.")


def test_scores_are_ratings_by_a_criterion_each() -> None:
    scores = [
        {"name": "helpful", "value": 0.5, "source": "ANNOTATION", "authorUserId": "ada", "comment": "so so"},
        {"name": "thumbs", "value": True, "source": "API"},
        {"name": "tone", "value": 3, "stringValue": "warm", "dataType": "CATEGORICAL", "source": "EVAL"},
    ]
    (row,) = read("langfuse", make_generation(scores=scores))
    found = [(one.annotator, one.kind, one.score, one.aspect, one.rationale) for one in row.ratings]
    assert found == [
        ("ada", "human", 0.5, "helpful", "so so"),
        ("log thumbs", "imported", 1.0, "thumbs", None),
    ]


def test_what_langfuse_has_beside_generations_is_rejected() -> None:
    with pytest.raises(RowError, match="'SPAN'"):
        read("langfuse", make_generation(type="SPAN"))
    with pytest.raises(RowError, match="without `messages`"):
        read("langfuse", make_generation(input={"order": 7}))


# Sessions of agents ------------------------------------------------------------------------------------------------

TASK, CALLED, DONE = "Count the files.", '{"command": "ls"}', "There is one file."


def make_session(agent: str) -> list[dict[str, Any]]:
    """The same session as four programs write it: a request, a call of a tool, its result, an answer, thanks."""
    use = {"type": "tool_use", "id": "c1", "name": "shell", "input": json.loads(CALLED)}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "a.txt"}
    sessions: dict[str, list[dict[str, Any]]] = {
        "claude-code": [
            {"role": "user", "content": TASK},
            {"role": "assistant", "model": "m-1", "content": [use]},
            {"role": "user", "content": [result]},
            {"role": "assistant", "model": "m-1", "content": [{"type": "text", "text": DONE}]},
            {"role": "user", "content": "Thanks."},
        ],
        "pi": [
            {"role": "user", "content": [{"type": "text", "text": TASK}]},
            {
                "role": "assistant",
                "model": "m-1",
                "content": [
                    {"type": "toolCall", "id": "c1", "name": "shell", "arguments": json.loads(CALLED)}
                ],
            },
            {"role": "toolResult", "toolCallId": "c1", "content": [{"type": "text", "text": "a.txt"}]},
            {"role": "assistant", "model": "m-1", "content": [{"type": "text", "text": DONE}]},
            {"role": "user", "content": "Thanks."},
        ],
        "codex": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": TASK}]},
            {"type": "reasoning", "summary": [], "encrypted_content": "x"},
            {"type": "function_call", "call_id": "c1", "name": "shell", "arguments": CALLED},
            {"type": "function_call_output", "call_id": "c1", "output": "a.txt"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": DONE}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Thanks."}]},
        ],
    }
    said = sessions.get(agent, [])
    if agent == "codex":
        head: list[dict[str, Any]] = [
            {"type": "session_meta", "payload": {"id": "s1", "cwd": "/x"}},
            {"type": "turn_context", "payload": {"model": "m-1"}},
            {"type": "event_msg", "payload": {"type": "token_count"}},
        ]
        items = [*head, *({"type": "response_item", "payload": item} for item in said)]
        return [{"timestamp": "2026-01-01T00:00:00Z", **item} for item in items]
    if agent == "claude-code":
        ids = {"sessionId": "s1", "parentUuid": None}
        spoken = [{"type": message["role"], **ids, "message": message} for message in said]
        spoken.insert(
            1, {"type": "user", **ids, "isMeta": True, "message": {"role": "user", "content": "A note."}}
        )
        spoken.insert(2, {"type": "assistant", **ids, "isSidechain": True, "message": said[3]})
        return [{"type": "summary", "summary": "Files", "leafUuid": "x"}, *spoken]
    if agent == "pi":
        head = [
            {"type": "session", "id": "s1", "cwd": "/x"},
            {"type": "thinking_level_change", "parentId": None},
        ]
        return [
            *head,
            *({"type": "message", "id": "x", "parentId": "y", "message": message} for message in said),
        ]
    call = {"id": "c1", "type": "function", "function": {"name": "shell", "arguments": CALLED}}
    plain = [
        {"role": "user", "content": TASK},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "a.txt"},
        {"role": "assistant", "content": DONE},
        {"role": "user", "content": "Thanks."},
    ]
    return [
        {"type": "session", "harness": "mine", "id": "s1"},
        *({"type": "message", "message": message} for message in plain),
    ]


def recognize(folder: Path, rows: list[dict[str, Any]]) -> Recognition:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = Config()
    object.__setattr__(config, "_folder", folder)
    return recognize_source(Source(source="rows.jsonl", format="auto"), config)


@pytest.mark.parametrize("agent", ["claude-code", "codex", "pi", "sts"])
def test_a_session_is_a_request_with_what_the_agent_did(agent: str, tmp_path: Path) -> None:
    found = recognize(tmp_path, make_session(agent))
    assert (found.certainty, found.source and found.source.format) == ("certain", "agent-traces")
    assert found.trial is not None
    (row,) = found.trial.rows
    assert row.prompt == TASK
    (response,) = row.responses
    assert response.model == (None if agent == "sts" else "m-1")
    assert response.messages is not None
    call, result, last = response.messages
    assert isinstance(call.tool_calls[0].arguments, str)
    assert (call.tool_calls[0].name, json.loads(call.tool_calls[0].arguments)) == (
        "shell",
        json.loads(CALLED),
    )
    assert (result.role, result.tool_call_id, describe((result,))[0][1]) == ("tool", "c1", "a.txt")
    assert describe((last,)) == [("assistant", DONE)]


def test_each_request_of_a_session_is_a_prompt(tmp_path: Path) -> None:
    session = make_session("sts")
    answer = {"type": "message", "message": {"role": "assistant", "content": "You are welcome."}}
    found = recognize(tmp_path, [*session, answer])
    assert found.trial is not None
    first, second = found.trial.rows
    assert (describe(first.prompt), len(describe(second.prompt))) == ([("user", TASK)], 5)
    assert second.responses[0].text == "You are welcome."


def test_sessions_in_one_file_stay_apart_and_a_broken_line_is_rejected(take: Take, lake: Lake) -> None:
    first, second = make_session("claude-code"), make_session("claude-code")
    second = [json.loads(json.dumps(line).replace(DONE, "None.").replace('"s1"', '"s2"')) for line in second]
    take("rows.jsonl", lines(*first, b"no JSON\n", *second), format="agent-traces")
    answers = lake.rows("SELECT messages[-1].content[1].text FROM responses ORDER BY ALL")
    assert answers == [("None.",), (DONE,)]
    assert lake.rows("SELECT count(*) FROM prompts") == [(1,)]
    assert [line for line, _ in rejected(lake)] == [len(first) + 1]


# All of them -------------------------------------------------------------------------------------------------------

SOUND: dict[str, dict[str, Any]] = {
    "openai-log": {"request": {"messages": CHAT, "tools": [TOOL]}, "response": make_completion("Seven.")},
    "genai-spans": {"span_id": "s", "name": "chat", "attributes": make_attributes("openinference")},
    "langfuse": make_generation(scores=[{"name": "helpful", "value": 1, "source": "API"}]),
}


@pytest.mark.parametrize("shape", SOUND)
def test_the_shapes_are_recognised(shape: str, tmp_path: Path) -> None:
    found = recognize(tmp_path, [SOUND[shape]] * 4)
    assert (found.certainty, found.source and found.source.format) == ("certain", shape)


def list_places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inside for place in list_places(item, (*path, key)))]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(data=st.data())
def test_a_hostile_value_anywhere_is_the_fault_of_its_row(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(sorted(SOUND)))
    row = copy.deepcopy(data.draw(st.sampled_from([SOUND[shape], {"attributes": make_attributes("genai")}])))
    row = row if shape == "genai-spans" else copy.deepcopy(SOUND[shape])
    *path, last = data.draw(st.sampled_from(list_places(row)[1:]))
    held: Any = row
    for step in path:
        held = held[step]
    held[last] = data.draw(JSON | JSON.map(json.dumps))
    try:
        rows = read(shape, row)
    except RowError:
        return
    assert all(one.responses for one in rows)
