"""What each export format selects and writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl
import pyarrow as pa

from curate.core.resources import read_query
from curate.export.nesting import nest_rankings
from curate.export.rows import EXPORTED, PICTURED
from curate.records import TABLES, arrow_schema

VERSION = 1  # of the files' layout: raise it when the same lake must give other files


Nest = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Part:
    """One table of an export.

    `parameters`: those that `query` takes, in the order of their numbers. `nest` makes the query's rows into rows
    of `schema`, where that is not for SQL to do.
    """

    name: str
    query: str
    schema: pa.Schema
    parameters: tuple[str, ...] = ()
    nest: Nest = iter


@dataclass(frozen=True)
class Format:
    """`selection` names the query that fills the temporary table `selection` (reason null: exported).

    `unit` says what it selects; `parts` are written one after the other.
    """

    name: str
    unit: str
    selection: str
    selection_parameters: tuple[str, ...]
    parts: tuple[Part, ...]
    aggregated: bool  # there is nothing to write before `aggregate` has run
    judged: bool = False  # its rows are judgments, so that new ones make it stale

    @property
    def is_split(self) -> bool:
        """Whether its one part is a training split rather than a table of its own."""
        return len(self.parts) == 1


_PER_ITERATION = {"preferences", "rankings", "annotators"}
_FILTERS = ("iteration", "split", "routed", "min_confidence")
_RAW_KEYS: Mapping[str, tuple[str, ...]] = {
    "prompts": ("prompt_id",),
    "responses": ("prompt_id", "response_id"),
    "judgments": ("prompt_id", "judgment_id"),
    "preferences": ("prompt_id", "response_a", "response_b"),
    "rankings": ("prompt_id", "response_id"),
    "annotators": ("annotator_id", "kind"),
}


def _raw(table: str) -> Part:
    """A table as it is, but for `run_id`, which differs between runs that did the same."""
    schema = arrow_schema(TABLES[table])
    kept = pa.schema([field for field in schema if field.name != "run_id"])
    keys = _RAW_KEYS[table]
    columns = ", ".join(f'"{name}"' for name in kept.names)
    query = f"SELECT {columns} FROM {table}"
    if "prompt_id" in keys:
        query += " SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id)"
    if table in _PER_ITERATION:
        query += " WHERE iteration = $1"
    query += f" ORDER BY {', '.join(keys)}"
    return Part(table, query, kept, ("iteration",) if table in _PER_ITERATION else ())


class Transcriber(Protocol):
    """Makes chats of judgments: see `curate.pipeline.transcripts`."""

    @property
    def judges(self) -> pl.DataFrame:
        """annotator_id, revision: of those whose chats it can make."""

    def chat(self, row: Mapping[str, Any]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """Prompt and completion."""


def formats(transcripts: Transcriber | None = None, *, pictured: bool = False) -> dict[str, Format]:
    """All formats by name; `judge-sft` needs `transcripts` to be written. `pictured`: prompts hold images."""
    rows = EXPORTED | PICTURED if pictured else EXPORTED
    pairs = Part(
        "train",
        _labelled("export_trl_preference", pictured),
        arrow_schema(rows["trl-preference"]),
        parameters=("iteration",),
    )
    rankings = Part(
        "train",
        _labelled("export_ranking", pictured),
        arrow_schema(rows["ranking"]),
        parameters=("iteration",),
        nest=nest_rankings,
    )
    judgments = Part(
        "train",
        read_query("export_judge_sft"),
        arrow_schema(EXPORTED["judge-sft"]),
        parameters=("iteration",),
        nest=lambda batches: _as_chats(batches, transcripts),
    )
    return {
        "judge-sft": Format(
            "judge-sft",
            "judgments",
            read_query("export_select_judge_sft"),
            _FILTERS,
            (judgments,),
            aggregated=True,
            judged=True,
        ),
        "trl-preference": Format(
            "trl-preference", "pairs", read_query("export_select_pairs"), _FILTERS, (pairs,), True
        ),
        "ranking": Format(
            "ranking", "prompts", read_query("export_select_rankings"), _FILTERS, (rankings,), True
        ),
        "parquet": Format(
            "parquet",
            "prompts",
            read_query("export_select_tables"),
            ("split",),
            tuple(map(_raw, _RAW_KEYS)),
            False,
        ),
    }


def _labelled(query: str, pictured: bool) -> str:
    if not pictured:
        return read_query(query)
    return f"WITH labelled AS (\n{read_query(query)})\n{read_query(f'{query}_images')}"


def _as_chats(batches: Iterable[pa.RecordBatch], transcripts: Transcriber | None) -> Iterator[pa.RecordBatch]:
    """Rows of `export_judge_sft.sql` as rows of the format `judge-sft`."""
    schema = arrow_schema(EXPORTED["judge-sft"])
    for batch in batches:
        assert transcripts is not None  # the stage asks for them
        rows = []
        for row in batch.to_pylist():
            prompt, completion = transcripts.chat(row)
            kept = {name: row[name] for name in schema.names if name in row}
            rows.append({**kept, "prompt": prompt, "completion": completion})
        yield from pa.Table.from_pylist(rows, schema=schema).to_batches()
