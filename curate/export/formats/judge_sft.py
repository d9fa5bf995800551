"""The format `judge-sft`: verdicts of judges with their reasons, to train a judge on."""

from __future__ import annotations

from functools import partial

from curate.core.resources import read_query
from curate.export.formats.base import PLAIN, ExportFormat, ExportTable, Layout, Transcriber
from curate.export.formats.queries import write_chats
from curate.export.rows import JudgeSftRow
from curate.records import arrow_schema


class JudgeSft(ExportFormat):
    """The prompt of a judge, and its answer with the reason."""

    Row = JudgeSftRow
    title = "Verdicts of judges, with their reasons"
    about = (
        "What judges were told (`prompt`) and what they answered (`completion`), where a judge said the same "
        "in both orders and the label agrees: for training a judge."
    )
    unit = "judgments"
    selection = "export_select_judge_sft"
    needs_transcripts = True

    def list_tables(
        self, transcripts: Transcriber | None = None, *, layout: Layout = PLAIN
    ) -> tuple[ExportTable, ...]:
        """Return the one table of verdicts."""
        schema = arrow_schema(JudgeSftRow)
        convert = partial(write_chats, transcripts=transcripts, schema=schema)
        return (ExportTable("train", read_query("export_judge_sft"), schema, ("iteration",), convert),)
