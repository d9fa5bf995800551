"""Tables without secrets: what a judge, a server or a program answered may repeat one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from curate.core.arrow_json import get_storage_type
from curate.core.secrets import list_secrets, scrub_text

_ADDRESS = r"://[^/\s:@]*:[^\s/]+@"
_FREE_TEXT = {  # the columns in which texts of others, or messages, are stored; all other tables have none
    "judgments": ("raw", "rationale"),
    "criterion_verdicts": ("raw", "rationale"),
    "rubric_calls": ("raw", "reason"),
    "runs": ("details",),
    "assessments": ("claim",),
    "verify_tasks": (),
    "quarantine": ("reason",),
}
"""Prompts, responses and quarantined rows are data: they are stored as they came, and their ids are hashes of them."""


def scrub_rows(table: str, rows: pa.Table) -> pa.Table:
    """Replace secrets in the columns of a table of the lake that hold free text."""
    return scrub_columns(rows, [name for name in _FREE_TEXT.get(table, ()) if name in rows.column_names])


def scrub_columns(rows: pa.Table, names: Sequence[str] | None = None) -> pa.Table:
    """Replace secrets in columns of text, nested ones too; `names`: default all. Without any, `rows` itself returns."""
    secrets = [secret for secret in list_secrets() if secret.isprintable() or "\n" in secret]
    pattern = "|".join([*map(_quote_pattern, secrets), _ADDRESS])
    for name in rows.column_names if names is None else names:
        column = rows[name]
        chunks = column.chunks
        clean = [_scrub_array(chunk, pattern) for chunk in chunks]
        if any(new is not old for new, old in zip(clean, chunks, strict=True)):
            scrubbed = pa.chunked_array(clean, type=column.type)
            rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), scrubbed)
    return rows


def _scrub_array(array: pa.Array, pattern: str) -> pa.Array:
    """Return the array itself where it holds no secret."""
    if not any(pc.any(pc.match_substring_regex(leaf, pattern)).as_py() for leaf in _list_leaves(array)):
        return array
    values = [_scrub_value(value) for value in array.to_pylist()]
    return pa.array(values, get_storage_type(array.type)).cast(array.type)


def _list_leaves(array: pa.Array) -> Iterator[pa.Array]:
    """List the arrays of text inside an array, however nested."""
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield array
    elif pa.types.is_struct(kind):
        for child in array.flatten():
            yield from _list_leaves(child)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _list_leaves(array.flatten())
    elif isinstance(kind, pa.BaseExtensionType):  # JSON is text too
        yield from _list_leaves(array.storage)


def _scrub_value(value: object) -> object:
    if isinstance(value, str):
        return scrub_text(value)
    if isinstance(value, list):
        return [_scrub_value(item) for item in value]
    if isinstance(value, dict):
        return {name: _scrub_value(item) for name, item in value.items()}
    return value


def _quote_pattern(text: str) -> str:
    return re.sub(r"([!-/:-@\[-^`{-~])", r"\\\1", text)  # RE2 knows no escapes of other characters
