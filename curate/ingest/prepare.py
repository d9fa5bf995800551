"""Preparation of a chunk before the lake's lock is taken: decode, validate, hash, build tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar, cast

import msgspec

from curate.ingest.chunks import Chunk, RowList, list_rows
from curate.ingest.columns import Columns, build_columns, concatenate_columns
from curate.ingest.decoders import JudgmentsDecoder, ResponsesDecoder
from curate.ingest.inputs import Input
from curate.ingest.line_blocks import LineBlock
from curate.ingest.native import RawRow
from curate.ingest.people import People, hide_people
from curate.ingest.ratings import StatedRow
from curate.ingest.rejection import Rejection, RowError, shorten_raw
from curate.ingest.rows import JudgmentRow, NativeRow, Row
from curate.ingest.statements import SourceStatement, Statements, list_statements

R = TypeVar("R")

_MANY = 4096  # rows from which on compiling (once) and starting the columnar way pays
_SEGMENT = 4096  # rows at most that are read as columns together, or one by one where that fails


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """The place of a chunk in its input: rows numbered from `start`, up to `end` or (the last) all the rest."""

    index: int
    start: int
    end: int
    last: bool


@dataclass(frozen=True, slots=True)
class DecodedRows(Generic[R]):
    """Sound rows with their numbers and raw rows, and the rejected rows."""

    rows: list[R]
    numbers: list[int]
    raw: list[RawRow]
    rejections: list[Rejection]


@dataclass(frozen=True, slots=True)
class PreparedJudgments:
    """A chunk of judgments, of which only the references are still to be resolved."""

    place: ChunkPlace
    decoded: DecodedRows[JudgmentRow | StatedRow]


@dataclass(frozen=True, slots=True)
class PreparedResponses:
    """A chunk of responses, ready to be committed."""

    place: ChunkPlace
    rows: int
    columns: Columns
    statements: Statements
    rejections: list[Rejection]


def prepare_judgments(chunk: Chunk, decoder: JudgmentsDecoder) -> PreparedJudgments:
    """Decode a chunk of rows of judgments."""
    return PreparedJudgments(_locate_chunk(chunk), _decode_rows(chunk.pieces, decoder))


def _locate_chunk(chunk: Chunk) -> ChunkPlace:
    return ChunkPlace(chunk.index, chunk.start, chunk.end, chunk.last)


def _decode_rows(
    pieces: Sequence[RowList | LineBlock], decoder: Callable[[RawRow], R | Sequence[R]]
) -> DecodedRows[R]:
    """Decode rows, of which each may hold several: judgments of several judges, prompts of a tree."""
    decoded: DecodedRows[R] = DecodedRows([], [], [], [])
    for number, raw in list_rows(pieces):
        if isinstance(raw, Rejection):
            decoded.rejections.append(raw)
            continue
        try:
            row = decoder(raw)
        except RowError as error:
            decoded.rejections.append(reject_row(number, raw, error))
            continue
        for one in cast("Sequence[R]", row if isinstance(row, list) else (row,)):
            decoded.rows.append(one)
            decoded.numbers.append(number)
            decoded.raw.append(raw)
    return decoded


def prepare_responses(
    chunk: Chunk,
    decoder: ResponsesDecoder,
    input: Input,
    pool: ThreadPoolExecutor | None,
    people: People,
) -> PreparedResponses:
    """Decode, check and hash a chunk of responses, and build its tables.

    Args:
        chunk: Rows as they were read.
        decoder: Decoder of a row.
        input: The input of the chunk.
        pool: Threads for the columnar path; None where the format does not allow it.
        people: The names under which the lake knows people.
    """
    if pool is None or len(chunk) < _MANY:
        pieces = [_read_by_rows(chunk.pieces, decoder, input, people)]
    else:
        segments = [segment for piece in chunk.pieces for segment in _cut_segments(piece)]
        columns = pool.map(partial(_read_segment, input), segments)
        pieces = [
            _read_by_rows([segment], decoder, input, people)
            if read is None
            else _Piece(read, len(read.prompt_ids), (), [])
            for segment, read in zip(segments, columns, strict=True)
        ]
    return PreparedResponses(
        place=_locate_chunk(chunk),
        rows=sum(piece.rows for piece in pieces),
        columns=concatenate_columns([piece.columns for piece in pieces]),
        statements=Statements([statement for piece in pieces for statement in piece.statements], people),
        rejections=[rejection for piece in pieces for rejection in piece.rejections],
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    columns: Columns
    rows: int
    statements: Sequence[SourceStatement]
    rejections: list[Rejection]


def _cut_segments(piece: RowList | LineBlock) -> list[RowList | LineBlock]:
    if isinstance(piece, RowList):
        return [piece]
    return [piece.cut(first, first + _SEGMENT) for first in range(0, len(piece), _SEGMENT)]


def _read_segment(input: Input, segment: RowList | LineBlock) -> Columns | None:
    from curate.ingest.columnar import read_columns

    if isinstance(segment, RowList):
        return None
    return read_columns(segment, source=input.name, split=input.split)


def _read_by_rows(
    pieces: Sequence[RowList | LineBlock], decoder: ResponsesDecoder, input: Input, people: People
) -> _Piece:
    decoded: DecodedRows[Row | NativeRow] = _decode_rows(pieces, decoder)
    for row in decoded.rows:
        if row.meta is not None:
            row.meta = hide_people(row.meta, people)
    columns = build_columns(decoded.rows, source=input.name, split=input.split)
    return _Piece(columns, len(decoded.rows), list_statements(decoded.rows, columns), decoded.rejections)


def reject_row(number: int, raw: RawRow, error: RowError) -> Rejection:
    """Make a row's entry in the quarantine."""
    return Rejection(number, error.kind, error.reason, _raw_text(raw))


def _raw_text(raw: RawRow) -> str:
    return shorten_raw(raw if isinstance(raw, bytes) else _encode_row(raw))


def _encode_row(row: dict[str, object]) -> bytes | str:
    try:
        return msgspec.json.encode(row)
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError):  # a lone surrogate, an odd type
        return repr(row)
