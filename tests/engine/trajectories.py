"""A conversation with all that a chat template may leave out, and chat templates that have words for it or not."""

from __future__ import annotations

import json

from curate.data.conversation import Conversation, read_messages
from tests.conftest import CHAT_TEMPLATE

TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "the sum of the tool",
        "parameters": {
            "type": "object",
            "properties": {"one": {"type": "integer", "description": "first"}, "note": {"type": "string"}},
            "required": ["one"],
        },
    },
}
TOOLS = json.dumps([TOOL])

PLAIN = CHAT_TEMPLATE
QWEN = """
{%- if tools %}<|im_start|>system
{% if messages[0].role == 'system' %}{{ messages[0].content }}

{% endif %}# Tools
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% elif messages[0].role == 'system' %}<|im_start|>system
{{ messages[0].content }}<|im_end|>
{% endif %}
{%- for m in messages %}
  {%- if m.role == 'tool' %}<|im_start|>user
<tool_response>
{{ m.content }}
</tool_response><|im_end|>
{% elif m.role == 'user' or m.role == 'assistant' %}<|im_start|>{{ m.role }}
{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>

{% endif %}{{ m.content }}
    {%- for call in m.tool_calls %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
    {%- endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
LLAMA = """
{%- for m in messages %}
  {%- if m.tool_calls %}
    {%- if m.tool_calls | length > 1 %}{{ raise_exception('one call at once') }}{% endif %}
    {%- set call = m.tool_calls[0].function %}<|im_start|>assistant
{"name": "{{ call.name }}", "parameters": {{ call.arguments | tojson }}}<|im_end|>
{% elif m.role == 'tool' or m.role == 'ipython' %}<|im_start|>ipython
{{ m.content | tojson }}<|im_end|>
{% else %}<|im_start|>{{ m.role }}
{% if loop.first and tools %}{% for tool in tools %}{{ tool | tojson(indent=4) }}

{% endfor %}{% endif %}{{ m.content | trim }}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
PYTHON = QWEN.replace("call.function.arguments | tojson", "call.function.arguments")
TEXT_ARGUMENTS = QWEN.replace(
    "{{ call.function.arguments | tojson }}", "{{ 'json ' + call.function.arguments }}"
)
THINKING_SWITCH = QWEN.replace("m.reasoning_content", "enable_thinking and m.reasoning_content")
TEMPLATES = {
    "plain": PLAIN,
    "qwen": QWEN,
    "llama": LLAMA,
    "python": PYTHON,
    "text arguments": TEXT_ARGUMENTS,
    "a switch for thinking": THINKING_SWITCH,
    "none": None,
}


def make_trajectory(written: str = "") -> tuple[Conversation, Conversation]:
    """Return a prompt and a response: a thought, two calls with their results, and an answer.

    `written` stands in each text of it, and in names and keys.
    """
    prompt = [{"role": "user", "content": f"which is the sum?{written}"}]
    call = {"name": f"add{written}", "arguments": {"one": 2, f"note{written}": f"a remark{written}"}}
    other = {"name": "add", "arguments": {"one": 5, "note": "another"}}
    response = [
        {
            "role": "assistant",
            "reasoning": f"the thought{written}",
            "content": f"the text{written}",
            "tool_calls": [{"id": "call00001", "type": "function", "function": call}],
        },
        {"role": "tool", "name": "add", "tool_call_id": "call00001", "content": f"the result{written}"},
        {"role": "assistant", "tool_calls": [{"id": "call00002", "type": "function", "function": other}]},
        {"role": "tool", "name": "add", "tool_call_id": "call00002", "content": "the second result"},
        {"role": "assistant", "content": f"the answer{written}"},
    ]
    return read_messages(prompt, "prompt"), read_messages(response, "response", role="assistant")


SHOWN = (
    "which is the sum?", "the thought", "the text", "a remark", "the result", "another", "the second result",
    "the answer", "the sum of the tool",
)  # fmt: skip
"""What a reader of the whole must see, the tools included."""
