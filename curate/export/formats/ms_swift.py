"""The format `ms-swift`: `messages` with a rejected response, a label, or alone.

As docs/source_en/Customization/Custom-dataset.md and swift/template/template_inputs.py (`TemplateInputs.from_dict`)
read it, at modelscope/ms-swift 3602360, and as ms-swift 4.6.0 loads it. Calls are turns `tool_call`, one each, and
results `tool_response`. `rejected_response` takes the place of all that follows the last user turn; where a prompt or
response is more than text, whole `rejected_messages` say it exactly.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa

from curate.data.preference_rows import Unusable
from curate.export.formats.base import Layout
from curate.export.formats.dialogue import get_only_turn, list_images, write_content, write_turns
from curate.export.formats.tasks import Dict, TaskFormat
from curate.export.rows import ChatMessage
from curate.records import Record, arrow_schema


class MsSwiftRow(Record):
    """A whole conversation with a good response; `tools` is JSON text, `images` the addresses of its `<image>`s."""

    messages: tuple[ChatMessage, ...]
    tools: str | None
    images: tuple[str, ...]
    prompt_id: str
    iteration: int


class MsSwiftPairRow(MsSwiftRow):
    """A `MsSwiftRow` with the worse response as text, and by how much the scores should differ."""

    rejected_response: str
    margin: float
    confidence: float


class MsSwiftConversationPairRow(MsSwiftRow):
    """A `MsSwiftPairRow` where a prompt or response has more than text: the worse conversation as a whole."""

    rejected_messages: tuple[ChatMessage, ...]
    rejected_tools: str | None
    rejected_images: tuple[str, ...]
    margin: float
    confidence: float


class MsSwiftBinaryRow(MsSwiftRow):
    """A `MsSwiftRow` whose response is good or bad."""

    label: bool


class MsSwift(TaskFormat):
    """Conversations for ms-swift: reward models, DPO, ORPO and the like, KTO, or fine-tuning."""

    Row = MsSwiftPairRow
    ConversationRow = MsSwiftConversationPairRow
    title = "Preferences for ms-swift"

    def choose_schema(self, layout: Layout) -> pa.Schema:
        """Return the columns of the task."""
        pair = MsSwiftConversationPairRow if layout.as_messages else MsSwiftPairRow
        schema = arrow_schema(
            {"preference": pair, "binary": MsSwiftBinaryRow, "sft": MsSwiftRow}[self.options.task]
        )
        absent = [name for name in schema.names if name.endswith("images") and not layout.with_images]
        return pa.schema([field for field in schema if field.name not in absent])

    def write_example(self, example: Dict) -> Dict:
        """Return the row of an example."""
        prompt = _write_turns(example["prompt"])
        good = example.get("chosen") or example["response"]
        images = list_images(example["prompt"])
        tools = json.dumps(example["tools"], ensure_ascii=False) if example["tools"] else None
        row = {
            "messages": [*prompt, *_write_turns(good["messages"])],
            "tools": tools,
            "images": [*images, *list_images(good["messages"])],
            "label": example.get("label"),
        }
        if self.options.task != "preference":
            return row
        bad = example["rejected"]["messages"]
        row |= {"margin": example["margin"], "rejected_tools": tools}
        if self.layout.as_messages:
            rejected = [*prompt, *_write_turns(bad)]
            return row | {"rejected_messages": rejected, "rejected_images": [*images, *list_images(bad)]}
        if not prompt or prompt[-1]["role"] != "user":
            raise Unusable("a prompt that does not end with the user")
        return row | {"rejected_response": get_only_turn(_write_turns(bad))["content"]}


def _write_turns(messages: Sequence[Dict]) -> list[Dict]:
    names = {"tool": "tool_response", "developer": "system"}
    turns = write_turns(messages, _write_calls)
    return [turn | {"role": names.get(turn["role"], turn["role"])} for turn in turns]


def _write_calls(message: Dict) -> list[Dict]:
    calls = [call["function"] for call in message["tool_calls"]]
    if any(not isinstance(call["arguments"], dict) for call in calls):
        raise Unusable("a call whose arguments are no object")
    text = write_content(message)
    return [
        *([{"role": "assistant", "content": text}] if text else []),
        *(
            {
                "role": "tool_call",
                "content": json.dumps(
                    {"name": call["name"], "arguments": call["arguments"]}, ensure_ascii=False
                ),
            }
            for call in calls
        ),
    ]
