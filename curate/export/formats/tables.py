"""The format `parquet`: the lake's tables as they are."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from curate.export.formats.base import PLAIN, ExportFormat, ExportTable, Layout, Transcriber
from curate.records import TABLES, arrow_schema

_PER_ITERATION = {"preferences", "rankings", "annotators"}
_KEYS: Mapping[str, tuple[str, ...]] = {
    "prompts": ("prompt_id",),
    "responses": ("prompt_id", "response_id"),
    "judgments": ("prompt_id", "judgment_id"),
    "preferences": ("prompt_id", "response_a", "response_b"),
    "rankings": ("prompt_id", "response_id"),
    "annotators": ("annotator_id", "kind"),
}


class Tables(ExportFormat):
    """Prompts, responses, judgments and what follows from them, one table each."""

    title = "Tables of a preference data set"
    about = "The tables behind a preference data set: every prompt, response, judgment and what follows from them."
    unit = "prompts"
    selection = "export_select_tables"
    selection_parameters = ("split",)
    needs_labels = False

    @property
    def is_split(self) -> bool:
        """Tell whether the export is one training split: these are several tables."""
        return False

    def list_tables(
        self, transcripts: Transcriber | None = None, *, layout: Layout = PLAIN
    ) -> tuple[ExportTable, ...]:
        """Return a table for each of the lake's."""
        return tuple(_copy_table(name, keys) for name, keys in _KEYS.items())


def _copy_table(table: str, keys: tuple[str, ...]) -> ExportTable:
    """Copy a table as it is, but for `run_id`, which differs between runs that did the same, and paths."""
    left_out = ("run_id", "part")
    schema = pa.schema([field for field in arrow_schema(TABLES[table]) if field.name not in left_out])
    columns = ", ".join(f'"{name}"' for name in schema.names)
    query = f"SELECT {columns} FROM {table}"
    if "prompt_id" in keys:
        query += " SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id)"
    if table in _PER_ITERATION:
        query += " WHERE iteration = $1"
    batch = ["memory.batch_of(prompt_id)"] if "prompt_id" in keys else []
    query += f" ORDER BY {', '.join([*batch, *keys])}"
    return ExportTable(table, query, schema, ("iteration",) if table in _PER_ITERATION else ())
