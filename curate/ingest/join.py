"""Rows of two files put together by a key: answers of a model in one, what was asked in the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from curate.config.ingest import Join
from curate.config.mapping import write_value
from curate.core.errors import CurateError
from curate.ingest.chunks import ReadRow
from curate.ingest.decoders import decode_object
from curate.ingest.paths import find_value
from curate.ingest.rejection import Rejection, RowError, shorten_raw

ReadRows = Callable[[], Iterator[tuple[int, ReadRow]]]


@dataclass
class Partner:
    """The rows of a joined file by their key, read when the first one is asked for."""

    join: Join
    read: ReadRows

    @cached_property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        """Raises CurateError where two different rows have one key: which of them belongs to a row is not known."""
        path, rows_by_key = self.join.key or self.join.by, dict[str, Mapping[str, Any]]()
        for number, raw in self.read():
            if isinstance(raw, Rejection):
                continue
            try:
                row = decode_object(raw)
            except RowError:
                continue
            key = _read_key(row, path)
            if key is None:
                raise CurateError(
                    f"{self.join.source}: row {number} has no `{path}`, by which it would be joined."
                )
            if rows_by_key.setdefault(key, row) != row:
                raise CurateError(
                    f"{self.join.source}: two different rows have the `{path}` {key!r}, so which of them belongs to "
                    "a row is not known: join by another key."
                )
        return rows_by_key


def join_rows(
    rows: Iterator[tuple[int, ReadRow]], partners: Sequence[Partner]
) -> Iterator[tuple[int, ReadRow]]:
    """Yield rows with their partners in them; a row without one is rejected.

    Raises:
        CurateError: A row has a column of a join's name, or a joined file has no use.
    """
    for number, raw in rows:
        if isinstance(raw, Rejection):
            yield number, raw
            continue
        try:
            yield number, _join_row(decode_object(raw), partners)
        except RowError as error:
            text = raw if isinstance(raw, bytes) else repr(raw)
            yield number, Rejection(number, error.kind, error.reason, shorten_raw(text))


def _join_row(row: Mapping[str, Any], partners: Sequence[Partner]) -> dict[str, Any]:
    joined = dict(row)
    for partner in partners:
        join = partner.join
        if join.name in row:
            raise CurateError(
                f"`join`: the rows have a column `{join.name}` of their own: "
                f"give the join of {join.source} another `name`."
            )
        key = _read_key(joined, join.by)
        if key is None:
            raise RowError("missing key", f"`{join.by}` is missing, by which {join.source} is joined.")
        if key not in partner.rows:
            reason = f"No row of {join.source} has the `{join.key or join.by}` {key!r}."
            raise RowError("no partner", reason)
        joined[join.name] = partner.rows[key]
    return joined


def _read_key(row: Mapping[str, Any], path: str) -> str | None:
    value = find_value(row, path)
    return write_value(value) if isinstance(value, str | int | float) else None
