"""The format `trl-preference`: pairs as TRL's preference trainers read them."""

from __future__ import annotations

from curate.export.formats.base import ExportFormat, ExportTable, Transcriber
from curate.export.formats.queries import read_labels_query
from curate.export.rows import PicturedPreferenceRow, TrlPreferenceRow
from curate.records import arrow_schema


class TrlPreference(ExportFormat):
    """Prompt, chosen and rejected response, with ids, models and the label's confidence."""

    Row = TrlPreferenceRow
    RowWithImages = PicturedPreferenceRow
    title = "Preference pairs"
    about = "Pairs of responses of which the panel prefers one: `chosen` is better than `rejected`."
    unit = "pairs"
    selection = "export_select_pairs"

    def list_tables(
        self, transcripts: Transcriber | None = None, *, with_images: bool = False
    ) -> tuple[ExportTable, ...]:
        """Return the one table of pairs."""
        schema = arrow_schema(PicturedPreferenceRow if with_images else TrlPreferenceRow)
        query = read_labels_query("export_trl_preference", with_images=with_images)
        return (ExportTable("train", query, schema, ("iteration",)),)
