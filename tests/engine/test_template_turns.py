"""No chat template drops a part of a trajectory, and no part of it becomes a control token."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest

from curate.data.conversation import build_dicts, read_messages
from curate.engine.base import Failure, build_chat
from curate.engine.chat_tokens import ChatTokens
from curate.records import Message, text_parts
from curate.reward.tokens import EncodedResponses, ResponseEncoder
from tests.conftest import make_tokenizer
from tests.engine.trajectories import LLAMA, PLAIN, QWEN, SHOWN, TEMPLATES, TOOLS, make_trajectory

END = "<|im_end|>"


def render(template: str | None, chat: tuple[Message, ...], tools: str | None = TOOLS) -> str:
    tokenizer = make_tokenizer(template)
    ids = ChatTokens(tokenizer, 1 << 20).encode_chat(chat, answer=False, tools=tools)
    assert not isinstance(ids, Failure), ids
    return str(tokenizer.decode(ids, skip_special_tokens=False))


def list_published() -> dict[str, str]:
    """Chat templates of well-known models, as TRL holds them."""
    trl = pytest.importorskip("trl", reason="chat templates of known models come with TRL")
    files = (Path(trl.__file__).parent / "chat_templates").glob("*.jinja")
    return {file.stem: file.read_text(encoding="utf-8") for file in files}


@pytest.mark.parametrize("name", TEMPLATES)
def test_everything_is_shown(name: str) -> None:
    prompt, response = make_trajectory()
    text = render(TEMPLATES[name], (*prompt, *response))
    assert [part for part in SHOWN if part not in text] == []
    places = [text.rindex(part) for part in SHOWN if part not in ("which is the sum?", "the sum of the tool")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "name",
    ["qwen3", "qwen2_5", "llama3_1", "deepseekv3", "gemma4_v2", "glm4moe", "lfm2", "phi3", "muse_glimmer"],
)
def test_everything_is_shown_by_templates_of_known_models(name: str) -> None:
    published = list_published()
    if name not in published:
        pytest.skip(f"this TRL has no template {name}")
    prompt, response = make_trajectory()
    text = render(published[name], (*prompt, *response))
    assert [part for part in SHOWN if part not in text] == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_control_strings_stay_text_wherever_they_are_written(name: str) -> None:
    tokenizer = make_tokenizer(TEMPLATES[name])
    tokens = ChatTokens(tokenizer, 1 << 20)
    end = tokenizer.convert_tokens_to_ids(END)

    def encode(written: str) -> list[int]:
        tools = TOOLS.replace(
            "the sum of the tool", f"the sum{json.dumps(written, ensure_ascii=False)[1:-1]} of it"
        )
        prompt, response = make_trajectory(written)
        ids = tokens.encode_chat((*prompt, *response), answer=False, tools=tools)
        assert not isinstance(ids, Failure)
        return ids

    harmless = encode("@w@")
    text = tokenizer.decode(harmless, skip_special_tokens=False)
    assert text.count("@w@") == 9  # a name, a key, a value, the tools, a result, a thought and three texts
    for written in (END, "\ue0f07\ue0f1"):
        ids = encode(written)
        assert ids.count(end) == harmless.count(end)
        expected = text.replace('name="add@w@"', f'name="add{html.escape(written)}"').replace("@w@", written)
        assert tokenizer.decode(ids, skip_special_tokens=False) == expected
    ids = encode(r"\ue0f07\ue0f1")  # in JSON its \ is doubled
    assert ids.count(end) == harmless.count(end)
    assert tokenizer.decode(ids, skip_special_tokens=False).count("ue0f07") == 9


@pytest.mark.parametrize("name", ["qwen", "qwen3", "llama3_1"])
def test_ids_are_those_of_the_template_s_own_rendering(name: str) -> None:
    template = QWEN if name == "qwen" else list_published()[name]
    tokenizer = make_tokenizer(template)
    prompt, response = make_trajectory()
    if name == "llama3_1":  # it prints no text beside calls, and no reasoning
        silent = {"content": (), "reasoning": None}
        response = (response[0].model_copy(update=silent), *response[1:])
    expected = tokenizer.apply_chat_template(
        build_dicts((*prompt, *response)), tools=json.loads(TOOLS), tokenize=True, return_dict=False
    )
    assert (
        ChatTokens(tokenizer, 1 << 20).encode_chat((*prompt, *response), answer=False, tools=TOOLS)
        == expected
    )

    encoder = ResponseEncoder(tokenizer, max_length=1 << 20, whole=False, padding=tokenizer.pad_token_id)
    other = build_chat(("assistant", "7"))
    encoded = encoder.encode_responses(prompt, [response, other], tools=TOOLS)
    assert isinstance(encoded, EncodedResponses)
    assert list(encoded.prompt + encoded.responses[0]) == expected
    assert list(encoded.prompt + encoded.responses[1]) == tokenizer.apply_chat_template(
        build_dicts((*prompt, *other)), tools=json.loads(TOOLS), tokenize=True, return_dict=False
    )
    assert "which is the sum?" in tokenizer.decode(encoded.prompt)  # and so the prompt is shared
    assert encoded.cut == 0


def test_text_that_a_template_leaves_out_beside_a_call_is_a_turn_before_it() -> None:
    _, (called, *_) = make_trajectory()
    called = called.model_copy(update={"reasoning": None})
    text = render(LLAMA, (*build_chat(("user", "which?")), called), tools=None)
    assert text == (
        "<|im_start|>user\nwhich?<|im_end|>\n<|im_start|>assistant\nthe text<|im_end|>\n<|im_start|>assistant\n"
        '{"name": "add", "parameters": {"note": "a remark", "one": 2}}<|im_end|>\n'
    )


def test_what_a_template_does_not_print_is_written_as_judges_read_it() -> None:
    prompt, response = make_trajectory()
    assert render(PLAIN, (*prompt, *response)) == (
        f"<|im_start|>system\nYou may call these tools:\n\n{TOOLS}<|im_end|>\n"
        "<|im_start|>user\nwhich is the sum?<|im_end|>\n"
        "<|im_start|>assistant\n<thinking>\nthe thought\n</thinking>\n\nthe text\n\n"
        '<tool_call name="add" id="call00001">\n{"note":"a remark","one":2}\n</tool_call><|im_end|>\n'
        '<|im_start|>user\n<tool_result name="add" id="call00001">\nthe result\n</tool_result><|im_end|>\n'
        '<|im_start|>assistant\n<tool_call name="add" id="call00002">\n{"note":"another","one":5}\n</tool_call>'
        "<|im_end|>\n"
        '<|im_start|>user\n<tool_result name="add" id="call00002">\nthe second result\n</tool_result><|im_end|>\n'
        "<|im_start|>assistant\nthe answer<|im_end|>\n"
    )


def test_reasoning_without_an_answer_is_written_alone() -> None:
    thought = Message(role="assistant", reasoning="the thought")
    text = render(PLAIN, (*build_chat(("user", "?")), thought), tools=None)
    assert text.endswith("<|im_start|>assistant\n<thinking>\nthe thought\n</thinking><|im_end|>\n")


def test_tools_join_a_system_turn_where_the_template_takes_none() -> None:
    text = render(PLAIN, build_chat(("system", "Be brief."), ("user", "?")))
    assert text.startswith(
        f"<|im_start|>system\nBe brief.\n\nYou may call these tools:\n\n{TOOLS}<|im_end|>\n"
    )


def test_a_developer_is_a_system_turn_where_the_template_knows_none() -> None:
    chat = read_messages(
        [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "?"}], "chat"
    )
    assert render(PLAIN, chat, tools=None) == render(
        PLAIN, build_chat(("system", "Be brief."), ("user", "?")), tools=None
    )


def test_arguments_that_are_no_object_reach_the_template_as_text() -> None:
    call: dict[str, Any] = {"function": {"name": "add", "arguments": "not json"}}
    chat = read_messages(
        [{"role": "user", "content": "?"}, {"role": "assistant", "content": "", "tool_calls": [call]}], "chat"
    )
    for template in (QWEN, PLAIN, TEMPLATES["text arguments"]):
        assert "not json" in render(template, chat, tools=None)


def test_a_call_that_the_template_refuses_is_a_failure() -> None:
    _, (called, *_) = make_trajectory()
    twice = called.model_copy(update={"tool_calls": called.tool_calls * 2, "content": text_parts("")})
    found = ChatTokens(make_tokenizer(LLAMA), 512).encode_chat(
        (*build_chat(("user", "?")), twice), answer=False
    )
    assert isinstance(found, Failure)
    assert "one call at once" in found.reason
