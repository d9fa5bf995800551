"""Rows whose conversations are lists of messages with everything that they have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any

import pyarrow as pa

from curate.core.resources import read_query
from curate.data.conversation import build_dicts, load_messages, parse_tools
from curate.data.json_columns import build_table
from curate.export.formats.base import Batches, ExportTable, Layout
from curate.export.hub_features import add_features
from curate.lake.lake import Lake
from curate.records import Record, arrow_schema

Dict = dict[str, Any]
_ROWS_PER_BATCH = 1024


def choose_layout(reader: Lake) -> Layout:
    """Return what the conversations of the temporary table `selection` need."""
    ((as_messages, with_images),) = reader.rows(read_query("export_layout"))
    return Layout(as_messages=as_messages, with_images=with_images)


def read_pair_rows(batches: Batches) -> Iterator[Dict]:
    """Yield the rows of `export_pairs.sql` with `prompt` and the `messages` of both responses as dictionaries."""
    for prompt_id, rows in groupby(_list_rows(batches), lambda row: row["prompt_id"]):
        prompt: Dict | None = None
        answers: dict[str, list[Dict]] = {}  # of this prompt: a response stands in many pairs
        for row in rows:
            prompt = prompt or _read_prompt(row)
            for side in ("chosen", "rejected"):
                response = row[side]
                name = response["response_id"]
                if name not in answers:
                    answers[name] = _build(response["messages"])
                row[side] = response | {"messages": answers[name]}
            yield row | prompt | {"prompt_id": prompt_id}


def read_prompt_rows(batches: Batches) -> Iterator[Dict]:
    """Yield the rows of `export_prompts.sql` with `prompt` as dictionaries."""
    for row in _list_rows(batches):
        yield row | _read_prompt(row)


def read_pass_fail_rows(batches: Batches) -> Iterator[Dict]:
    """Yield the rows of `export_pass_fail.sql` with `prompt` and the response's `messages` as dictionaries."""
    for row in _list_rows(batches):
        response = row["response"]
        yield row | _read_prompt(row) | {"response": response | {"messages": _build(response["messages"])}}


def read_ranking_rows(batches: Batches) -> Iterator[Dict]:
    """Yield the rows of `export_ranked.sql`, nested: one row a prompt, with rank and score inside each response."""
    kept = ("response_id", "key", "model", "text", "messages", "meta", "rank", "score")
    for prompt_id, group in groupby(_list_rows(batches), lambda row: row["prompt_id"]):
        rows = list(group)
        responses = [
            {name: row[name] for name in kept} | {"messages": _build(row["messages"])} for row in rows
        ]
        yield _read_prompt(rows[0]) | {
            "prompt_id": prompt_id,
            "source": rows[0]["source"],
            "key": rows[0]["prompt_key"],
            "responses": responses,
            "iteration": rows[0]["iteration"],
        }


def write_layout(
    query: str,
    row_type: type[Record],
    layout: Layout,
    read: Callable[[Batches], Iterable[Dict]],
    *,
    without: Collection[str] = (),
    further: Sequence[pa.Field] = (),
) -> ExportTable:
    """Return the table of rows that `read` makes of the query's.

    Args:
        query: SQL of the rows.
        row_type: Columns of the rows.
        layout: Needs of the conversations; `images` is a column where a prompt has one.
        read: Makes rows of the query's.
        without: Columns of `row_type` to leave out.
        further: Columns beside those of `row_type`.
    """
    absent = {*without, *(() if layout.with_images else ("images",))}
    schema = pa.schema([*(field for field in arrow_schema(row_type) if field.name not in absent), *further])

    def convert(batches: Batches) -> Iterator[pa.RecordBatch]:
        rows = iter(read(batches))
        while some := list(islice(rows, _ROWS_PER_BATCH)):
            yield from build_table(
                [row | {"images": _list_images(row["prompt"])} for row in some], schema
            ).to_batches()

    return ExportTable("train", query, add_features(schema), ("iteration",), convert)


def _list_rows(batches: Batches) -> Iterator[Dict]:
    for batch in batches:
        yield from batch.to_pylist()


def _read_prompt(row: Mapping[str, Any]) -> Dict:
    return {"prompt": _build(row["prompt"]), "tools": parse_tools(row["tools"])}


def _build(stored: Iterable[Mapping[str, Any]]) -> list[Dict]:
    return build_dicts(load_messages(stored))


def _list_images(prompt: Iterable[Mapping[str, Any]]) -> list[str]:
    parts = [
        part for message in prompt if isinstance(message["content"], list) for part in message["content"]
    ]
    return [part["uri"] for part in parts if part["type"] == "image"]
