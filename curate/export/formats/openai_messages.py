"""The format `openai-messages`: whole conversations of {role, content}, two of them for a pair.

As torchtune reads them (torchtune/data/_messages.py: `ChosenRejectedToMessages` of `preference_dataset`,
`OpenAIToMessages` of `chat_dataset`, and `validate_messages`, at pytorch/torchtune bd2a0fc), and for `messages`
Axolotl's `type: chat_template`. A system message comes first, and users and assistants take turns; role and content
alone are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pyarrow as pa
from pydantic import Field

from curate.core.section import Section
from curate.export.formats.base import Layout
from curate.export.formats.dialogue import (
    get_only_turn,
    refuse_broken_alternation,
    refuse_images,
    refuse_tools,
    split_system,
    write_turns,
)
from curate.export.formats.tasks import Dict, TaskFormat
from curate.export.rows import ChatMessage
from curate.records import Record, arrow_schema


class MessagesOptions(Section):
    """The task that is trained."""

    task: Literal["preference", "sft"] = Field(
        "preference",
        description="preference: a better and a worse conversation. sft: that with the best response of each prompt.",
    )


class MessagesPairRow(Record):
    """The conversation with the better and with the worse response."""

    chosen: tuple[ChatMessage, ...]
    rejected: tuple[ChatMessage, ...]
    prompt_id: str
    confidence: float
    iteration: int


class MessagesRow(Record):
    """The conversation with the best response."""

    messages: tuple[ChatMessage, ...]
    prompt_id: str
    iteration: int


class OpenAiMessages(TaskFormat):
    """Whole conversations as messages, for torchtune, or for fine-tuning anywhere."""

    Options = MessagesOptions
    Row = MessagesPairRow
    title = "Conversations"

    def choose_schema(self, layout: Layout) -> pa.Schema:
        """Return the columns of the task."""
        return arrow_schema(MessagesPairRow if self.options.task == "preference" else MessagesRow)

    def write_example(self, example: Dict) -> Dict:
        """Return the row of an example."""
        refuse_tools(example)
        if self.options.task == "sft":
            return {"messages": _write_conversation(example["prompt"], example["response"])}
        return {
            side: _write_conversation(example["prompt"], example[side]) for side in ("chosen", "rejected")
        }


def _write_conversation(prompt: Sequence[Dict], response: Dict) -> list[Dict]:
    refuse_images(prompt, response["messages"])
    system, turns = split_system(write_turns(prompt))
    refuse_broken_alternation(turns, own=("assistant",), theirs=("user",))
    before = [] if system is None else [{"role": "system", "content": system}]
    return [*before, *turns, get_only_turn(write_turns(response["messages"]))]
