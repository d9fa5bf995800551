"""What can be done with a chunk before the lake's lock is taken: decode, validate, hash, build tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from curate.ingest.chunks import Chunk
from curate.ingest.columns import Columns, build
from curate.ingest.inputs import Input
from curate.ingest.native import Raw
from curate.ingest.rejection import Rejection, RowError, shorten
from curate.ingest.rows import JudgmentRow, NativeRow, Row
from curate.ingest.statements import Statements, of_rows

R = TypeVar("R")


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

    place: Place
    rows: list[R]
    numbers: list[int]
    raw: list[Raw]
    rejections: list[Rejection]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chunk of responses, ready to be committed."""

    place: Place
    rows: int
    columns: Columns
    statements: Statements
    rejections: list[Rejection]


def decode(chunk: Chunk, decoder: Callable[[Raw], R]) -> Decoded[R]:
    place = Place(chunk.index, chunk.start, chunk.numbers[-1] if chunk.numbers else chunk.start, chunk.last)
    rows: list[R] = []
    numbers: list[int] = []
    kept: list[Raw] = []
    rejections: list[Rejection] = []
    for number, raw in zip(chunk.numbers, chunk.rows, strict=True):
        if isinstance(raw, Rejection):
            rejections.append(raw)
            continue
        try:
            rows.append(decoder(raw))
        except RowError as error:
            rejections.append(reject(number, raw, error))
        else:
            numbers.append(number)
            kept.append(raw)
    return Decoded(place, rows, numbers, kept, rejections)


def prepare_responses(chunk: Chunk, decoder: Callable[[Raw], Row | NativeRow], input: Input) -> Prepared:
    decoded = decode(chunk, decoder)
    columns = build(decoded.rows, source=input.name, split=input.split)
    statements = Statements(of_rows(decoded.rows, columns))
    return Prepared(decoded.place, len(decoded.rows), columns, statements, decoded.rejections)


def prepare_judgments(chunk: Chunk, decoder: Callable[[Raw], JudgmentRow]) -> Decoded[JudgmentRow]:
    return decode(chunk, decoder)


def reject(number: int, raw: Raw, error: RowError) -> Rejection:
    return Rejection(number, error.kind, error.reason, _text(raw))


def _text(raw: Raw) -> str:
    return shorten(raw if isinstance(raw, bytes) else _encode(raw))


def _encode(row: dict[str, object]) -> bytes | str:
    try:
        return msgspec.json.encode(row)
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError):  # a lone surrogate, an odd type
        return repr(row)
