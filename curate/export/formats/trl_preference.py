"""The format `trl-preference`: pairs as TRL's preference trainers read them.

Columns as docs/source/dataset_formats.md ("preference") has them at huggingface/trl f2cd577: with an explicit prompt,
or an implicit one (both conversations whole). RewardTrainer subtracts `margin` (trl/trainer/reward_trainer.py), as do
OpenRLHF (openrlhf/datasets/reward_dataset.py, at 3c3be62) and ms-swift. No trainer reads a soft label a row today;
`confidence` is one, for losses of one's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from curate.core.resources import read_query
from curate.core.section import Section
from curate.export.aspects import join_aspects, make_aspect_field
from curate.export.formats.base import PLAIN, Batches, ExportFormat, ExportTable, Layout, Lookup, Transcriber
from curate.export.formats.conversations import read_pair_rows, write_layout
from curate.export.rows import PreferenceConversationRow, TrlPreferenceRow
from curate.records import arrow_schema


class TrlPreferenceOptions(Section):
    """Where the prompt stands, and which aspects are beside the label."""

    prompt: Literal["explicit", "implicit"] = Field(
        "explicit",
        description="explicit: in a column of its own. implicit: at the beginning of both conversations.",
    )
    aspects: list[str] = Field(
        default_factory=list,
        description="Aspects of `aggregate.aspects` whose labels stand beside the pair's own, in the column `aspects`.",
    )


class TrlPreference(ExportFormat):
    """Prompt, chosen and rejected response, with ids, models and the label's confidence."""

    Options = TrlPreferenceOptions
    Row = TrlPreferenceRow
    ConversationRow = PreferenceConversationRow
    title = "Preference pairs"
    about = "Pairs of responses of which the panel prefers one: `chosen` is better than `rejected`."
    unit = "pairs"
    selection = "export_select_pairs"

    def list_tables(
        self, transcripts: Transcriber | None = None, *, layout: Layout = PLAIN
    ) -> tuple[ExportTable, ...]:
        """Return the one table of pairs."""
        aspects = self.options.aspects
        further = (make_aspect_field(aspects),) if aspects else ()
        if not layout.as_messages and self.options.prompt == "explicit":
            query = read_query("export_trl_preference")
            if aspects:
                query = join_aspects(query, aspects, chosen="chosen_id", rejected="rejected_id")
            schema = pa.schema([*arrow_schema(TrlPreferenceRow), *further])
            return (ExportTable("train", query, schema, ("iteration",), lookups=_list_texts()),)
        query = read_query("export_pairs")
        if aspects:
            query = join_aspects(query, aspects, chosen="chosen.response_id", rejected="rejected.response_id")
        is_whole = self.options.prompt == "implicit"
        row_type = PreferenceConversationRow if layout.as_messages else TrlPreferenceRow
        read = partial(_read_rows, is_whole=is_whole)
        without = ["prompt"] if is_whole else []
        return (write_layout(query, row_type, layout, read, without=without, further=further),)


def _list_texts() -> tuple[Lookup, ...]:
    sides = ("chosen", "rejected")
    answers = {side: (f"{side}_id", "answer") for side in sides}
    models = {f"{side}_model": (f"{side}_id", "model") for side in sides}
    return (
        Lookup(read_query("export_plain_prompts"), "prompt_id", {"prompt": ("prompt_id", "prompt")}),
        Lookup(read_query("export_plain_answers"), "response_id", answers | models),
    )


def _read_rows(batches: Batches, *, is_whole: bool = False) -> Iterator[dict[str, Any]]:
    for row in read_pair_rows(batches):
        chosen, rejected = row["chosen"], row["rejected"]
        before = row["prompt"] if is_whole else []
        yield row | {
            "chosen": [*before, *chosen["messages"]],
            "rejected": [*before, *rejected["messages"]],
            "chosen_id": chosen["response_id"],
            "rejected_id": rejected["response_id"],
            "chosen_model": chosen["model"],
            "rejected_model": rejected["model"],
        }
