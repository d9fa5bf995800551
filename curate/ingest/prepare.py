"""What can be done with a chunk before the lake's lock is taken: decode, validate, hash, build tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import msgspec

from curate.ingest.chunks import Chunk
from curate.ingest.columns import Columns, build, concatenate
from curate.ingest.inputs import Input
from curate.ingest.native import Raw
from curate.ingest.rejection import Rejection, RowError, shorten
from curate.ingest.rows import JudgmentRow, NativeRow, Row
from curate.ingest.statements import Statement, Statements, of_rows

R = TypeVar("R")

_MANY = 4096  # rows from which on compiling (once) and starting the columnar way pays
_SEGMENT = 2048  # rows that are read as columns together, or one by one where that fails


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chunk stands in its input: rows numbered from `start`, up to `end` or (the last) all the rest."""

    index: int
    start: int
    end: int
    last: bool


@dataclass(frozen=True, slots=True)
class Decoded(Generic[R]):
    """Sound rows with their numbers, and the rejected ones. `raw` is what the sound rows came from."""

    rows: list[R]
    numbers: list[int]
    raw: list[Raw]
    rejections: list[Rejection]


@dataclass(frozen=True, slots=True)
class PreparedJudgments:
    """A chunk of judgments, of which only the references are still to be resolved."""

    place: Place
    decoded: Decoded[JudgmentRow]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chunk of responses, ready to be committed."""

    place: Place
    rows: int
    columns: Columns
    statements: Statements
    rejections: list[Rejection]


def prepare_judgments(chunk: Chunk, decoder: Callable[[Raw], JudgmentRow]) -> PreparedJudgments:
    return PreparedJudgments(_place(chunk), _decode(chunk.numbers, chunk.rows, decoder))


def _place(chunk: Chunk) -> Place:
    return Place(chunk.index, chunk.start, chunk.numbers[-1] if chunk.numbers else chunk.start, chunk.last)


def _decode(
    numbers: Sequence[int], rows: Sequence[Raw | Rejection], decoder: Callable[[Raw], R]
) -> Decoded[R]:
    decoded: Decoded[R] = Decoded([], [], [], [])
    for number, raw in zip(numbers, rows, strict=True):
        if isinstance(raw, Rejection):
            decoded.rejections.append(raw)
            continue
        try:
            decoded.rows.append(decoder(raw))
        except RowError as error:
            decoded.rejections.append(reject(number, raw, error))
        else:
            decoded.numbers.append(number)
            decoded.raw.append(raw)
    return decoded


def prepare_responses(
    chunk: Chunk,
    decoder: Callable[[Raw], Row | NativeRow],
    input: Input,
    pool: ThreadPoolExecutor | None,
    pseudonym: Callable[[str], str],
) -> Prepared:
    """`pool`: threads for the columnar way, where the format allows it; `pseudonym`: of a person's name."""
    if pool is None or len(chunk.rows) < _MANY:
        pieces = [_by_rows(chunk.numbers, chunk.rows, decoder, input)]
    else:
        starts = range(0, len(chunk.rows), _SEGMENT)
        segments = [slice(start, start + _SEGMENT) for start in starts]
        columns = pool.map(partial(_columnar, chunk, input), segments)
        pieces = [
            _by_rows(chunk.numbers[segment], chunk.rows[segment], decoder, input)
            if found is None
            else _Piece(found, len(found.prompt_ids), (), [])
            for segment, found in zip(segments, columns, strict=True)
        ]
    return Prepared(
        place=_place(chunk),
        rows=sum(piece.rows for piece in pieces),
        columns=concatenate([piece.columns for piece in pieces]),
        statements=Statements([each for piece in pieces for each in piece.statements], pseudonym),
        rejections=[each for piece in pieces for each in piece.rejections],
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    columns: Columns
    rows: int
    statements: Sequence[Statement]
    rejections: list[Rejection]


def _columnar(chunk: Chunk, input: Input, segment: slice) -> Columns | None:
    from curate.ingest.columnar import read_columns

    rows = chunk.rows[segment]
    lines = [row for row in rows if isinstance(row, bytes)]
    return read_columns(lines, source=input.name, split=input.split) if len(lines) == len(rows) else None


def _by_rows(
    numbers: Sequence[int],
    rows: Sequence[Raw | Rejection],
    decoder: Callable[[Raw], Row | NativeRow],
    input: Input,
) -> _Piece:
    decoded = _decode(numbers, rows, decoder)
    columns = build(decoded.rows, source=input.name, split=input.split)
    return _Piece(columns, len(decoded.rows), of_rows(decoded.rows, columns), decoded.rejections)


def reject(number: int, raw: Raw, error: RowError) -> Rejection:
    return Rejection(number, error.kind, error.reason, _text(raw))


def _text(raw: Raw) -> str:
    return shorten(raw if isinstance(raw, bytes) else _encode(raw))


def _encode(row: dict[str, object]) -> bytes | str:
    try:
        return msgspec.json.encode(row)
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError):  # a lone surrogate, an odd type
        return repr(row)
