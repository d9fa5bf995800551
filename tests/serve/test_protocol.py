"""Requests as their clients send them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from curate.data.conversation import text_answer, text_message
from curate.engine.base import build_chat
from curate.records import Role
from curate.reward.scorer import PromptResponses
from curate.serve.protocol import Answered
from curate.serve.request_reader import PATHS
from curate.serve.transcript import parse_turns, strip_end_tokens

CHATML = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
LLAMA = (
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWhy?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
GEMMA = "<bos><start_of_turn>user\nWhy?<end_of_turn>\n<start_of_turn>model\n"


WHY = build_chat(("user", "Why?"))
BRIEF = build_chat(("system", "Be brief."), ("user", "Why?"))


def asked(path: str, **body: Any) -> list[PromptResponses]:
    return PATHS[path].model_validate_json(json.dumps(body)).list_prompts()


def answer(path: str, scores: list[float], **body: Any) -> dict[str, Any]:
    return PATHS[path].model_validate(body).build_answer(scores, Answered("m"))


@pytest.mark.parametrize(
    ("rendered", "turns"),
    [
        (CHATML, [("system", "Be brief."), ("user", "Why?")]),
        (LLAMA, [("user", "Why?")]),
        (GEMMA, [("user", "Why?")]),
        (CHATML + "So.<|im_end|>\n", [("system", "Be brief."), ("user", "Why?"), ("assistant", "So.")]),
        ("no template\nat all", [("user", "no template\nat all")]),
    ],
)
def test_rendered_chats_are_turns_again(rendered: str, turns: list[tuple[Role, str]]) -> None:
    assert parse_turns(rendered) == build_chat(*turns)


def test_only_control_tokens_at_the_end_are_taken_off() -> None:
    assert strip_end_tokens("It is </s> here.<|im_end|>\n<|endoftext|>") == "It is </s> here."
    assert strip_end_tokens("two spaces  <|eot_id|>") == strip_end_tokens("two spaces  ") == "two spaces  "


def test_an_empty_answer_is_one_and_an_open_turn_is_none() -> None:
    assert parse_turns(CHATML + "<|im_end|>\n")[-1] == text_message("assistant", "")
    assert parse_turns(CHATML)[-1] == text_message("user", "Why?")


def test_one_prompt_with_its_responses() -> None:
    assert asked("/score", prompt="Why?", responses=["a", "b"]) == [
        PromptResponses(WHY, (text_answer("a"), text_answer("b")))
    ]
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "u"}]},
    ]
    (read,) = asked("/score", messages=messages, responses=["a"])
    assert read.context == build_chat(("system", "s"), ("user", "u"))
    assert answer("/score", [1.0, 2.0], prompt="?", responses=["a", "b"]) == {
        "scores": [1.0, 2.0],
        "model": "m",
    }


def test_trl_conversational_and_text() -> None:
    (chat,) = asked(
        "/rewards",
        prompts=[[{"role": "user", "content": "Why?"}]],
        completions=[[{"role": "assistant", "content": "So."}]],
        labels=["ignored"],
    )
    (text,) = asked("/rewards", prompts=[CHATML], completions=["So.<|im_end|>"])
    assert chat == PromptResponses(WHY, (text_answer("So."),))
    assert text == PromptResponses(BRIEF, (text_answer("So."),))
    assert answer("/rewards", [0.5], prompts=["?"], completions=["!"]) == {"rewards": [0.5]}


def test_trl_sends_tool_loops_turns_in_between_and_tools() -> None:
    call = {"type": "function", "function": {"name": "add", "arguments": {"b": 2, "a": 1}}}
    loop = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "3"},
        {"role": "assistant", "content": "It is 3."},
    ]
    turns = [
        {"role": "assistant", "content": "Which base?"},
        {"role": "user", "content": "ten"},
        {"role": "assistant", "content": "It is 3."},
    ]
    why = [{"role": "user", "content": "Why?"}]
    tools = [{"type": "function", "function": {"name": "add"}}]
    looped, talked = asked(
        "/rewards", prompts=[why, why], completions=[loop, turns], tools=[tools, json.dumps(tools)]
    )
    ((first, result, last),) = looped.responses
    assert [(one.name, one.arguments) for one in first.tool_calls] == [("add", '{"a":1,"b":2}')]
    assert (result, last) == (text_message("tool", "3"), text_message("assistant", "It is 3."))
    roles = [message.role for message in talked.responses[0]]
    assert (roles, talked.context) == (["assistant", "user", "assistant"], WHY)
    assert looped.tools == talked.tools == '[{"type":"function","function":{"name":"add"}}]'


@pytest.mark.parametrize("rendered", [LLAMA, CHATML])
def test_open_rlhf_with_and_without_prompts(rendered: str) -> None:
    end = "<|eot_id|>" if rendered is LLAMA else "<|im_end|>\n"
    body = {"query": [rendered + "So." + end], "prompts": [rendered], "labels": ["4"]}
    assert asked("/get_reward", **body) == asked("/get_reward", query=body["query"])
    assert asked("/get_reward", **body)[0].responses == (text_answer("So."),)
    assert answer("/get_reward", [1.5], **body) == {"rewards": [1.5], "scores": [1.5], "extra_logs": {}}


def test_verl_asks_as_of_vllm() -> None:
    body = {"model": "m", "input": CHATML + "So.<|im_end|>\n", "use_activation": False}
    assert asked("/classify", **body)[0].responses == (text_answer("So."),)
    assert answer("/classify", [2.5], **body)["data"][-1]["probs"][-1] == 2.5


def test_a_panel_asks_as_of_vllm_by_messages() -> None:
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So. <|im_end|>"}]
    body = {"model": "m", "messages": turns, "add_generation_prompt": False, "use_activation": False}
    assert asked("/classify", **body) == [PromptResponses(WHY, (text_answer("So. <|im_end|>"),))]


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        ("/classify", {"model": "m"}, "either `input`"),
        ("/classify", {"messages": [{"role": "user", "content": "?"}]}, "end with the assistant's turn"),
        ("/score", {"responses": ["a"]}, "either `prompt`"),
        ("/score", {"prompt": "?", "responses": []}, "at least 1 item"),
        ("/score", {"messages": [{"role": "robot", "content": ""}], "responses": ["a"]}, "'robot', which is"),
        ("/rewards", {"prompts": ["?"], "completions": []}, "1 prompts, but 0 completions"),
        ("/rewards", {"prompts": ["?"], "completions": ["!"], "tools": []}, "1 prompts, but 0 tools"),
        ("/get_reward", {"query": ["x y"], "prompts": ["z"]}, "in an unknown template"),
        ("/get_reward", {"query": ["bare text"]}, "in an unknown template"),
    ],
)
def test_what_cannot_be_answered_says_why(path: str, body: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        asked(path, **body)
