"""Mask personal data in what is exported, where filters say so (`personal-data` and `names` with `action: mask`)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from curate.config.export import ExportEntry
from curate.core.errors import CurateError
from curate.data.personal_data import mask_findings
from curate.export.formats import ExportFormat
from curate.lake.lake import Lake
from curate.records import TABLES, arrow_schema

_KEPT = frozenset({"role", "type", "id", "tool_call_id", "sha256", "mime_type", "uri"})
_COLUMNS = {"prompts": ("messages", "reference", "meta", "tools"), "responses": ("messages", "meta")}
_IDS = {"prompts": "prompt_id", "responses": "response_id"}


def digest_masks(reader: Lake) -> str | None:
    """Return a digest of what is to be masked; None where nothing is."""
    if not _has_masks(reader):
        return None
    return reader.digest("filter_decisions", "row(item_id, other)", "action = 'mask'")


def mask_texts(reader: Lake, entry: ExportEntry, form: ExportFormat) -> None:
    """Put temporary tables in the place of `prompts` and `responses`, in which personal data are masked.

    Args:
        reader: A connection of the export's own.
        entry: The data set that is written.
        form: Its format.

    Raises:
        CurateError: The format also writes texts of judges, in which what is masked may be quoted.
    """
    if not _has_masks(reader):
        return
    if form.needs_transcripts or not form.is_split or form.reads_tables:
        raise CurateError(
            f"The export to {entry.path} is refused: the format {form.name!r} also writes what judges say, where "
            "personal data may be quoted that `action: mask` of a filter masks in prompts and responses "
            "alone. Write `action: drop` there, or take a format of pairs or rankings."
        )
    for table, key in _IDS.items():
        _mask_table(reader, table, key)


def _mask_table(reader: Lake, table: str, key: str) -> None:
    findings = dict(
        reader.rows(
            "SELECT item_id, string_agg(DISTINCT other, ',') FROM filter_decisions "
            "WHERE action = 'mask' AND target = $1 GROUP BY item_id",
            [table.removesuffix("s")],
        )
    )
    wanted = pa.table({key: pa.array(list(findings), pa.string())})
    with reader.bind("items_to_mask", wanted):
        rows = reader.arrow(
            f"SELECT rowid AS place, * FROM {table} SEMI JOIN items_to_mask USING ({key})"
        ).to_pylist()
    for row in rows:
        row |= {column: _mask_value(row[column], findings[row[key]]) for column in _COLUMNS[table]}
    schema = pa.schema([pa.field("place", pa.int64()), *arrow_schema(TABLES[table])])
    masked = pa.Table.from_pylist(rows, schema=schema)
    with reader.bind("masked_items", masked):
        reader.rows(f"CREATE OR REPLACE TEMP TABLE masked_{table} AS FROM masked_items")
    reader.rows(
        f"CREATE OR REPLACE TEMP VIEW {table} AS "
        f"SELECT rowid, * FROM lake.{table} ANTI JOIN masked_{table} USING ({key}) "
        f"UNION ALL BY NAME SELECT place AS rowid, * EXCLUDE (place) FROM masked_{table}"
    )


def _mask_value(value: Any, findings: str) -> Any:
    """Mask every text in a column but for ids, roles and addresses of media."""
    if isinstance(value, str):
        return mask_findings(value, findings)
    if isinstance(value, list | tuple):
        return [_mask_value(item, findings) for item in value]
    if isinstance(value, dict):
        return {name: item if name in _KEPT else _mask_value(item, findings) for name, item in value.items()}
    return value


def _has_masks(reader: Lake) -> bool:
    query = "SELECT count(*) FROM filter_decisions WHERE action = 'mask'"
    return reader.has("filter_decisions") and bool(reader.value(query))
