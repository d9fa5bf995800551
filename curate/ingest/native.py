"""Decoding of native rows: fast when they are sound, careful when they are not.

What msgspec refuses, and what could hold a character that the lake cannot, goes through the pydantic model,
whose errors become the reason in the quarantine table; the model has the last word.
`tests/ingest/test_native.py` holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from curate.data.native import JudgmentsRow, ResponsesRow
from curate.ingest.explain import explain_validation_error
from curate.ingest.parse import parse_line
from curate.ingest.rows import JudgmentRow, NativeRow, is_consistent, is_sound
from curate.ingest.storable import check_storable, find_unstorable

RawRow = bytes | dict[str, Any]
R = TypeVar("R", bound=msgspec.Struct)


class NativeDecoder(Generic[R]):
    """A decoder of a line of JSON or a row of a table to a sound row; raises `RowError`."""

    def __init__(self, target: type[R], model: type[BaseModel], sound: Callable[[R], bool]) -> None:
        self._target = target
        self._model = model
        self._sound = sound
        self._decode = msgspec.json.Decoder(target).decode

    def __call__(self, raw: RawRow) -> R:
        try:
            if isinstance(raw, bytes):
                if b"\\u0000" not in raw:
                    row = self._decode(raw)
                    if self._sound(row):
                        return row
            else:
                row = msgspec.convert(raw, self._target)
                if self._sound(row) and find_unstorable(raw) is None:
                    return row
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass  # the careful way finds out what is wrong, if anything is
        return self.decode_carefully(raw)

    def decode_carefully(self, raw: RawRow) -> R:
        row = parse_line(raw) if isinstance(raw, bytes) else raw
        check_storable(row)
        try:
            model = self._model.model_validate(row)
        except ValidationError as error:
            raise explain_validation_error(error, self._model) from None
        return msgspec.convert(model.model_dump(exclude_unset=True), self._target)


def make_native_responses_decoder() -> NativeDecoder[NativeRow]:
    """Make the decoder of native rows of responses."""
    return NativeDecoder(NativeRow, ResponsesRow, is_sound)


def make_native_judgments_decoder() -> NativeDecoder[JudgmentRow]:
    """Make the decoder of native rows of judgments."""
    return NativeDecoder(JudgmentRow, JudgmentsRow, is_consistent)
