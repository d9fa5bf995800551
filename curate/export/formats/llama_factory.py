"""The format `llama-factory`: dialogues, with the `dataset_info.json` that LLaMA-Factory looks for.

As data/README.md ("Sharegpt Format") and src/llamafactory/data/converter.py (`SharegptDatasetConverter`) read it, at
hiyouga/LLaMA-Factory ff6d4d1, and as LLaMA-Factory 0.9.5 loads it: one message as response, sides that take turns,
calls as a turn `function_call` of their own. It reads no margin.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from curate.data.preference_rows import Unusable
from curate.export.formats.base import Layout
from curate.export.formats.dialogue import (
    get_only_turn,
    list_images,
    refuse_broken_alternation,
    split_system,
    write_turns,
)
from curate.export.formats.tasks import Dict, TaskFormat
from curate.export.rows import ChatMessage
from curate.records import Record, arrow_schema

_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}


class LlamaFactoryRow(Record):
    """A conversation for LLaMA-Factory.

    preference: `messages` up to the question, `chosen` and `rejected` one turn each. binary: the whole conversation
    and `kto_tag`. sft: the whole conversation. `tools` is JSON text, "" for none; `images` has the addresses of the
    `<image>`s of the messages, and is there only where a prompt has one.
    """

    messages: tuple[ChatMessage, ...]
    system: str
    tools: str
    images: tuple[str, ...]
    prompt_id: str
    iteration: int


class LlamaFactoryPairRow(LlamaFactoryRow):
    """A `LlamaFactoryRow` of the task preference."""

    chosen: ChatMessage
    rejected: ChatMessage
    confidence: float


class LlamaFactoryBinaryRow(LlamaFactoryRow):
    """A `LlamaFactoryRow` of the task binary."""

    kto_tag: bool


_ROWS: Mapping[str, type[LlamaFactoryRow]] = {
    "preference": LlamaFactoryPairRow,
    "binary": LlamaFactoryBinaryRow,
    "sft": LlamaFactoryRow,
}


class LlamaFactory(TaskFormat):
    """Conversations for LLaMA-Factory: reward models, DPO, ORPO and SimPO, KTO, or fine-tuning."""

    Row = LlamaFactoryPairRow
    reads_layout = True
    title = "Preferences for LLaMA-Factory"

    def choose_schema(self, layout: Layout) -> pa.Schema:
        """Return the columns of the task."""
        schema = arrow_schema(_ROWS[self.options.task])
        return schema if layout.with_images else schema.remove(schema.get_field_index("images"))

    def write_example(self, example: Dict) -> Dict:
        """Return the row of an example."""
        system, prompt = split_system(_write_turns(example["prompt"]))
        refuse_broken_alternation(prompt, own=("assistant", "function_call"), theirs=("user", "observation"))
        row = {
            "system": system or "",
            "tools": json.dumps(example["tools"], ensure_ascii=False) if example["tools"] else "",
            "images": list_images(example["prompt"]),
        }
        if self.options.task == "preference":
            return (
                row
                | {"messages": prompt}
                | {side: _write_answer(example[side]) for side in ("chosen", "rejected")}
            )
        return row | {
            "messages": [*prompt, _write_answer(example["response"])],
            "kto_tag": example.get("label"),
        }

    def write_files(self, folder: Path, parts: Mapping[str, Sequence[Path]]) -> Sequence[Path]:
        """Write `dataset_info.json`: a data set a split, by the split's name."""
        task = self.options.task
        columns = {"messages": "messages", "system": "system", "tools": "tools"}
        columns |= {"images": "images"} if self.layout.with_images else {}
        columns |= {
            "preference": {"chosen": "chosen", "rejected": "rejected"},
            "binary": {"kto_tag": "kto_tag"},
        }.get(task, {})
        about = {"formatting": "sharegpt", "ranking": task == "preference", "columns": columns, "tags": _TAGS}
        info = {name: {"script_url": ".", "split": name, **about} for name in parts}
        path = folder / "dataset_info.json"
        path.write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")
        return [path]


def _write_answer(response: Dict) -> Dict:
    if list_images(response["messages"]):
        raise Unusable("images in a response, which LLaMA-Factory does not read")
    return get_only_turn(_write_turns(response["messages"]))


def _write_turns(messages: Sequence[Dict]) -> list[Dict]:
    turns = write_turns(messages, _write_calls)
    return [turn | {"role": "observation"} if turn["role"] == "tool" else turn for turn in turns]


def _write_calls(message: Dict) -> list[Dict]:
    calls = [call["function"] for call in message["tool_calls"]]
    if any(not isinstance(call["arguments"], dict) for call in calls):
        raise Unusable("a call whose arguments are no object")
    if message["content"] or message.get("reasoning_content"):
        raise Unusable("a turn with both text and calls")
    return [{"role": "function_call", "content": json.dumps(calls, ensure_ascii=False)}]
