"""A model is given what its own chat template prints of a trajectory; what it leaves out is counted."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest

from curate.data.conversation import build_dicts, read_messages
from curate.engine.base import Failure, build_chat
from curate.engine.chat_tokens import ChatTokens
from curate.engine.template_turns import describe_left_out
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


KNOWN = ["qwen3", "qwen2_5", "llama3_1", "deepseekv3", "gemma4_v2", "glm4moe", "lfm2", "phi3", "muse_glimmer"]


def get_template(name: str) -> str | None:
    return TEMPLATES[name] if name in TEMPLATES else list_published()[name]


@pytest.mark.parametrize("name", [*TEMPLATES, *KNOWN])
def test_what_is_not_shown_is_counted(name: str) -> None:
    prompt, response = make_trajectory()
    tokens = ChatTokens(make_tokenizer(get_template(name)), 1 << 20)
    ids = tokens.encode_chat((*prompt, *response), answer=False, tools=TOOLS)
    assert not isinstance(ids, Failure), ids
    text = str(tokens.tokenizer.decode(ids, skip_special_tokens=False))
    missing = {part for part in SHOWN if part not in text}
    kinds = {
        "the thought": "reasoning",
        "the text": "text beside calls",
        "a remark": "calls of tools",
        "another": "calls of tools",
        "the result": "results of tools",
        "the second result": "results of tools",
        "the sum of the tool": "tools of a prompt",
    }
    assert {kinds[part] for part in missing} == {kind for kind, number in tokens.left_out.items() if number}
    described = describe_left_out(tokens.left_out)
    assert bool(missing) == described.startswith("the chat template left out ")


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
    shown = text.count("@w@")  # of a name, a key, a value, the tools, a result, a thought and three texts
    assert shown == (9 - sum(_count_hidden(what) for what in +tokens.left_out))
    for written in (END, "\ue0f07\ue0f1"):
        ids = encode(written)
        assert ids.count(end) == harmless.count(end)
        expected = text.replace('name="add@w@"', f'name="add{html.escape(written)}"').replace("@w@", written)
        assert tokenizer.decode(ids, skip_special_tokens=False) == expected
    ids = encode(r"\ue0f07\ue0f1")  # in JSON its \ is doubled
    assert ids.count(end) == harmless.count(end)
    assert tokenizer.decode(ids, skip_special_tokens=False).count("ue0f07") == shown


def _count_hidden(what: str) -> int:
    return {"calls of tools": 3}.get(what, 1)


@pytest.mark.parametrize("name", ["plain", "qwen", "llama", "qwen3", "llama3_1", "phi3"])
def test_ids_are_those_of_the_template_s_own_rendering(name: str) -> None:
    tokenizer = make_tokenizer(get_template(name))
    prompt, response = make_trajectory()
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


def test_without_a_template_everything_is_written_as_judges_read_it() -> None:
    prompt, response = make_trajectory()
    text = render(None, (*prompt, *response))
    assert "Tools: [" in text
    assert "Assistant: <thinking>\nthe thought\n</thinking>\n\nthe text\n\n<tool_call" in text
    assert 'Tool: <tool_result name="add" id="call00001">\nthe result\n</tool_result>' in text


def test_a_developer_is_a_system_turn_where_the_template_knows_none() -> None:
    chat = read_messages(
        [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "?"}], "chat"
    )
    refusal = "{% for m in messages %}{% if m.role == 'developer' %}{{ raise_exception('?') }}{% endif %}{% endfor %}"
    refusing = refusal + PLAIN
    expected = render(PLAIN, build_chat(("system", "Be brief."), ("user", "?")), tools=None)
    assert render(refusing, chat, tools=None) == expected
    assert render(PLAIN, chat, tools=None) == expected.replace("system", "developer")  # which prints any role


def test_arguments_that_are_no_object_reach_the_template_as_text() -> None:
    call: dict[str, Any] = {"function": {"name": "add", "arguments": "not json"}}
    chat = read_messages(
        [{"role": "user", "content": "?"}, {"role": "assistant", "content": "", "tool_calls": [call]}], "chat"
    )
    for template in (QWEN, TEMPLATES["text arguments"]):
        assert "not json" in render(template, chat, tools=None)


def test_a_call_that_the_template_refuses_is_a_failure() -> None:
    _, (called, *_) = make_trajectory()
    twice = called.model_copy(update={"tool_calls": called.tool_calls * 2, "content": text_parts("")})
    found = ChatTokens(make_tokenizer(LLAMA), 512).encode_chat(
        (*build_chat(("user", "?")), twice), answer=False
    )
    assert isinstance(found, Failure)
    assert "one call at once" in found.reason
