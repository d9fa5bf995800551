"""The format `ranking`: one row per prompt with all its ranked responses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from curate.core.resources import read_query
from curate.export.formats.base import PLAIN, Batches, ExportFormat, ExportTable, Layout, Transcriber
from curate.export.formats.conversations import read_ranking_rows, write_layout
from curate.export.nesting import nest_rankings
from curate.export.rows import RankingConversationRow, RankingRow
from curate.records import arrow_schema


class Ranking(ExportFormat):
    """A prompt, its responses, and their ranks and scores."""

    Row = RankingRow
    ConversationRow = RankingConversationRow
    title = "Ranked responses"
    about = "Prompts with all their responses, ranked: rank 1 is the best, and ties share a rank."
    unit = "prompts"
    selection = "export_select_rankings"

    def list_tables(
        self, transcripts: Transcriber | None = None, *, layout: Layout = PLAIN
    ) -> tuple[ExportTable, ...]:
        """Return the one table of rankings."""
        if not layout.as_messages:
            schema, query = arrow_schema(RankingRow), read_query("export_ranking")
            return (ExportTable("train", query, schema, ("iteration",), convert=nest_rankings),)
        query = read_query("export_ranked")
        return (write_layout(query, RankingConversationRow, layout, _read_rows),)


def _read_rows(batches: Batches) -> Iterator[dict[str, Any]]:
    for row in read_ranking_rows(batches):
        responses = row["responses"]
        yield row | {
            "rankings": [response["rank"] for response in responses],
            "scores": [response["score"] for response in responses],
        }
