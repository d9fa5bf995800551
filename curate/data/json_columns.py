"""Columns of JSON in Arrow and Parquet (`arrow.json`, the hub's `Json`): objects whose keys differ from row to row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa

from curate.core.arrow_json import get_storage_type

Convert = Callable[[Any], Any]


def holds_json(kind: pa.DataType) -> bool:
    """Tell whether a type is JSON, or a list or struct with JSON inside."""
    if isinstance(kind, pa.JsonType):
        return True
    return any(holds_json(kind.field(position).type) for position in range(kind.num_fields))


def list_rows(batch: pa.RecordBatch | pa.Table) -> list[dict[str, Any]]:
    """Return the rows as dictionaries, with cells of JSON parsed. Text that is no JSON stays text."""
    rows: list[dict[str, Any]] = batch.to_pylist()
    for field in batch.schema:
        if holds_json(field.type):
            parse = _make_converter(field.type, _parse_cell)
            for row in rows:
                row[field.name] = parse(row[field.name])
    return rows


def build_table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Build a table of rows whose cells of JSON are objects; columns that a row lacks are null."""
    writers = {field.name: _make_converter(field.type, write_json) for field in schema}
    stored = [{name: write(row.get(name)) for name, write in writers.items()} for row in rows]
    # pyarrow makes no extension type inside a list from Python's objects, but casts text to it.
    storage = pa.schema([(field.name, get_storage_type(field.type)) for field in schema])
    return pa.Table.from_pylist(stored, schema=storage).cast(schema)


def write_json(value: object) -> str:
    """Return a value as compact JSON text, with its keys in their order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _parse_cell(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _make_converter(kind: pa.DataType, convert: Convert) -> Convert:
    """Make a function that converts each piece of JSON in a cell of a type."""
    if isinstance(kind, pa.JsonType):
        return lambda value: None if value is None else convert(value)
    if not holds_json(kind):
        return lambda value: value
    if pa.types.is_struct(kind):
        inner = {field.name: _make_converter(field.type, convert) for field in kind}
        return lambda value: value and {name: change(value.get(name)) for name, change in inner.items()}
    change = _make_converter(kind.field(0).type, convert)
    return lambda value: value and [change(item) for item in value]
