"""The format `axolotl`: messages with a chosen and a rejected one, or single turns for its reward models.

As src/axolotl/prompt_strategies/dpo/chat_template.py (`type: chat_template.default`) and
bradley_terry/chat_template.py (`type: bradley_terry.chat_template`) read it, at axolotl-ai-cloud/axolotl 067b021, and
as Axolotl 0.19 loads it. It keeps role and content alone, and of a response only its last message; no margin.
"""

from __future__ import annotations

from typing import Literal

import pyarrow as pa
from pydantic import Field

from curate.core.section import Section
from curate.data.preference_rows import Unusable
from curate.export.formats.base import Layout
from curate.export.formats.dialogue import (
    get_only_turn,
    refuse_images,
    refuse_tools,
    split_system,
    write_turns,
)
from curate.export.formats.row_format import RowFormat
from curate.export.formats.tasks import Dict
from curate.export.rows import ChatMessage
from curate.records import Record, arrow_schema


class AxolotlOptions(Section):
    """Which of Axolotl's strategies reads the rows."""

    type: Literal["chat_template", "bradley_terry"] = Field(
        "chat_template",
        description="chat_template: for `rl: dpo` with `type: chat_template.default`. bradley_terry: for "
        "`reward_model: true` with `type: bradley_terry.chat_template`, which reads single questions only.",
    )


class AxolotlRow(Record):
    """A prompt as `messages`, and a message for each of the better and the worse response."""

    messages: tuple[ChatMessage, ...]
    chosen: ChatMessage
    rejected: ChatMessage
    prompt_id: str
    confidence: float
    iteration: int


class AxolotlRewardRow(Record):
    """A single question (`input`) with a better and a worse answer."""

    system: str
    input: str
    chosen: str
    rejected: str
    prompt_id: str
    confidence: float
    iteration: int


class Axolotl(RowFormat):
    """Pairs for Axolotl: DPO and IPO, or reward models."""

    rows = "pairs"
    Options = AxolotlOptions
    Row = AxolotlRow
    checks_rows = False
    title = "Preference pairs for Axolotl"

    def choose_schema(self, layout: Layout) -> pa.Schema:
        """Return the columns of the type."""
        return arrow_schema(AxolotlRow if self.options.type == "chat_template" else AxolotlRewardRow)

    def write_row(self, row: Dict) -> Dict:
        """Return the row of a pair."""
        refuse_tools(row)
        refuse_images(row["prompt"], *(row[side]["messages"] for side in ("chosen", "rejected")))
        answers = {side: get_only_turn(write_turns(row[side]["messages"])) for side in ("chosen", "rejected")}
        if any(not answer["content"].strip() for answer in answers.values()):
            raise Unusable("an empty response, which Axolotl cannot find in its own rendering")
        system, turns = split_system(write_turns(row["prompt"]))
        if self.options.type == "chat_template":
            messages = [{"role": "system", "content": system}, *turns] if system is not None else turns
            return row | answers | {"messages": messages}
        if len(turns) != 1 or turns[0]["role"] != "user":
            raise Unusable("a prompt of several turns, of which this consumer reads one")
        texts = {side: answer["content"] for side, answer in answers.items()}
        return row | texts | {"system": system or "", "input": turns[0]["content"]}
