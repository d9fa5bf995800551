"""Search for traces of erased rows: their ids, by hash, and their texts, in tables, files and the catalog."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa
import pyarrow.types as pat

from curate.lake.compaction import list_inlined
from curate.lake.data_folder import METADATA
from curate.lake.forgotten import digest_name
from curate.lake.lake import Lake

MOST_TEXTS = 200_000
"""Texts that are searched for; of more rows, as many as these stand for all. Ids are always all searched for."""
_SHORTEST = 12  # characters of a text that is worth a search: shorter ones are in other people's texts too
_SNIPPET = 64  # characters by which a text is found before it is compared as a whole
_IDS = frozenset(
    {
        *("id", "prompt_id", "response_id", "judgment_id", "annotator_id", "quarantine_id", "task_id"),
        *("response_a", "response_b", "listed", "ranking", "supersedes", "winner", "loser", "responses"),
    }
)
_NO_TEXT = frozenset({"role", "type", "mime_type"})
_STATISTICS = ("ducklake_table_column_stats", "ducklake_file_column_stats")


@dataclass(frozen=True, slots=True)
class Traces:
    """The ids and texts that are searched for.

    `digests`: hashes of ids, salted with `salt`; `texts`: the texts themselves, by a snippet of each spelling.
    """

    salt: str
    digests: frozenset[str]
    texts: Mapping[str, Collection[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, salt: str, digests: Iterable[str], texts: Iterable[str] = ()) -> Traces:
        """Prepare a search."""
        spellings: dict[str, set[str]] = {}
        for text in texts:
            for spelling in {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}:
                spellings.setdefault(spelling[:_SNIPPET], set()).add(spelling)
        return cls(salt, frozenset(digests), spellings)

    @property
    def of_ids(self) -> Traces:
        """Return a search for the ids alone, which is quick."""
        return Traces(self.salt, self.digests)

    def leave_out(self, spellings: Collection[str]) -> Traces:
        """Return a search without these texts."""
        kept = {snippet: set(texts) - set(spellings) for snippet, texts in self.texts.items()}
        return Traces(self.salt, self.digests, {snippet: texts for snippet, texts in kept.items() if texts})

    def count(self, table: pa.Table | pa.RecordBatch) -> int:
        """Count the values of a table that are, or hold, a trace."""
        number = 0
        for name, values in list_strings(table):
            if name in _IDS:
                number += sum(self._is_erased(value) for value in values.unique().to_pylist())
            elif self.texts and name not in _NO_TEXT:
                number += len(self.find_texts(values))
        return number

    def find_texts(self, values: pa.Array) -> set[str]:
        """Find the spellings of texts that some values hold."""
        if not self.texts:
            return set()
        snippets = list(self.texts)
        series = pl.Series(pl.from_arrow(values.unique())).drop_nulls()
        hits = series.filter(series.str.contains_any(snippets))
        if hits.is_empty():
            return set()
        there = set[str]()
        for value, matched in zip(hits, hits.str.extract_many(snippets, overlapping=True), strict=True):
            for snippet in set(matched):
                there |= {text for text in self.texts[snippet] if text in value}
        return there

    def _is_erased(self, value: str | None) -> bool:
        return value is not None and digest_name(f"row:{self.salt}", value) in self.digests


def list_strings(table: pa.Table | pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
    """List the arrays of text of a table, however nested, with the name of the column or field."""
    for name, column in zip(table.schema.names, table.columns, strict=True):
        for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
            yield from _list_leaves(name, chunk)


def _list_leaves(name: str, array: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    kind = array.type
    if pat.is_dictionary(kind):
        yield from _list_leaves(name, array.dictionary)
    elif pat.is_string(kind) or pat.is_large_string(kind):
        yield name, array
    elif pat.is_struct(kind):
        for field_, child in zip(kind, array.flatten(), strict=True):
            yield from _list_leaves(field_.name, child)
    elif pat.is_list(kind) or pat.is_large_list(kind):
        yield from _list_leaves(name, array.flatten())
    elif isinstance(kind, pa.BaseExtensionType):
        yield from _list_leaves(name, array.storage)


def collect_texts(batches: Iterable[pa.RecordBatch]) -> set[str]:
    """Collect the texts of rows that are worth a search, up to `MOST_TEXTS`."""
    texts = set[str]()
    for batch in batches:
        for name, values in list_strings(batch):
            if name not in _IDS | _NO_TEXT:
                texts |= {text for text in values.unique().to_pylist() if text and len(text) >= _SHORTEST}
        if len(texts) > MOST_TEXTS:
            return set(sorted(texts)[:MOST_TEXTS])
    return texts


def count_in_file(lake: Lake, path: str, traces: Traces) -> int:
    """Count the traces in a Parquet file."""
    return sum(traces.count(batch) for batch in lake.batches("SELECT * FROM read_parquet(?)", [path]))


def count_in_catalog(lake: Lake, traces: Traces) -> int:
    """Count the traces in the catalog: in statistics, which hold the least and greatest text, and in rows."""
    number = 0
    for table in _STATISTICS:
        bounds = lake.arrow(
            f"SELECT min_value AS id, max_value AS response_id, min_value AS low, max_value AS high "
            f"FROM {METADATA}.{table}"
        )
        number += traces.count(bounds)
    for table in list_inlined(lake):
        number += traces.count(lake.arrow(f'SELECT * FROM {METADATA}."{table}"'))
    return number
