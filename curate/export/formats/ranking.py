"""The format `ranking`: one row per prompt with all its ranked responses."""

from __future__ import annotations

from curate.export.formats.base import ExportFormat, ExportTable, Transcriber
from curate.export.formats.queries import read_labels_query
from curate.export.nesting import nest_rankings
from curate.export.rows import PicturedRankingRow, RankingRow
from curate.records import arrow_schema


class Ranking(ExportFormat):
    """A prompt, its responses, and their ranks and scores."""

    Row = RankingRow
    RowWithImages = PicturedRankingRow
    title = "Ranked responses"
    about = "Prompts with all their responses, ranked: rank 1 is the best, and ties share a rank."
    unit = "prompts"
    selection = "export_select_rankings"

    def list_tables(
        self, transcripts: Transcriber | None = None, *, with_images: bool = False
    ) -> tuple[ExportTable, ...]:
        """Return the one table of rankings."""
        schema = arrow_schema(PicturedRankingRow if with_images else RankingRow)
        query = read_labels_query("export_ranking", with_images=with_images)
        return (ExportTable("train", query, schema, ("iteration",), convert=nest_rankings),)
