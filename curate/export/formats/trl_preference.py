"""The format `trl-preference`: pairs as TRL's preference trainers read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from curate.core.resources import read_query
from curate.export.formats.base import PLAIN, Batches, ExportFormat, ExportTable, Layout, Transcriber
from curate.export.formats.conversations import read_pair_rows, write_layout
from curate.export.rows import PreferenceConversationRow, TrlPreferenceRow
from curate.records import arrow_schema


class TrlPreference(ExportFormat):
    """Prompt, chosen and rejected response, with ids, models and the label's confidence."""

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
        if not layout.as_messages:
            schema = arrow_schema(TrlPreferenceRow)
            return (ExportTable("train", read_query("export_trl_preference"), schema, ("iteration",)),)
        query = read_query("export_pairs")
        return (write_layout(query, PreferenceConversationRow, layout, _read_rows),)


def _read_rows(batches: Batches) -> Iterator[dict[str, Any]]:
    for row in read_pair_rows(batches):
        chosen, rejected = row["chosen"], row["rejected"]
        yield row | {
            "chosen": chosen["messages"],
            "rejected": rejected["messages"],
            "chosen_id": chosen["response_id"],
            "rejected_id": rejected["response_id"],
            "chosen_model": chosen["model"],
            "rejected_model": rejected["model"],
        }
