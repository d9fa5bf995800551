"""The decoder of a source: from a line or table row to a sound row, by the source's kind, format and fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from curate.config import Fields, Source
from curate.formats import contradiction
from curate.ingest import mapped
from curate.ingest.foreign import Foreign, Reading
from curate.ingest.native import Raw, judgments_decoder, responses_decoder
from curate.ingest.parse import parse
from curate.ingest.presets import PRESETS
from curate.ingest.rejection import RowError
from curate.ingest.rows import JudgmentRow, NativeRow, Row, first_repeated, is_sound, prompt_is_blank
from curate.ingest.storable import check_storable
from curate.records import Kind

NATIVE_FIELDS = Fields(
    id="id", prompt="prompt", responses="responses", response_id="id", response_text="text", response_model="model",
    reference="reference",
)  # fmt: skip

_decode = msgspec.json.Decoder().decode

ResponsesDecoder = Callable[[Raw], Row | NativeRow]
JudgmentsDecoder = Callable[[Raw], JudgmentRow]


def responses_reader(source: Source, *, name: str) -> ResponsesDecoder:
    """`name`: of the data set, which stands in for an unnamed annotator."""
    if source.format == "native" and source.fields is None:
        return responses_decoder()
    if source.format == "native":
        return _foreign(mapped.read, NATIVE_FIELDS, source, name, "imported")
    preset = PRESETS[source.format]
    return _foreign(preset.read, preset.fields, source, name, preset.kind)


def judgments_reader(source: Source, *, name: str) -> JudgmentsDecoder:
    native = judgments_decoder()
    if source.fields is None:
        return native
    reading = Reading(source.fields, source.annotator or name)
    return lambda raw: native(mapped.read_judgment(foreign_object(raw), reading))


def merged(defaults: Fields, overrides: Fields | None) -> Fields:
    return defaults.model_copy(update=overrides.model_dump(exclude_unset=True) if overrides else {})


def foreign_object(raw: Raw) -> Mapping[str, Any]:
    """A row as a dictionary in which every text can be stored."""
    if isinstance(raw, bytes) and b"\\u0000" not in raw:
        try:
            row = _decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass  # `parse` says what is wrong, if anything is
        else:
            if isinstance(row, dict):
                return row
    row = parse(raw) if isinstance(raw, bytes) else raw
    check_storable(row)
    return row


def _foreign(
    read: Callable[[Foreign, Reading], Row], defaults: Fields, source: Source, name: str, kind: Kind
) -> ResponsesDecoder:
    reading = Reading(merged(defaults, source.fields), source.annotator or name, kind)

    def decode(raw: Raw) -> Row:
        row = read(foreign_object(raw), reading)
        _check(row, reading.fields)
        return row

    return decode


def _check(row: Row, fields: Fields) -> None:
    """What the native format's model checks, in the words of the foreign one."""
    if not row.responses:
        raise RowError("no responses", f"`{fields.responses}` is empty.")
    if not is_sound(row):
        if prompt_is_blank(row.prompt):
            raise RowError("empty prompt", "The prompt is empty.")
        raise RowError("duplicate response id", f"Two responses have the id {first_repeated(row)!r}.")
    for verdict in row.verdicts:
        a, b = row.responses[verdict.a], row.responses[verdict.b]
        if (a.text, a.model, a.id) == (b.text, b.model, b.id):
            raise RowError("same response twice", "The two responses that were compared are the same.")
        flaw = contradiction(verdict.winner, verdict.p_a)
        if flaw:
            raise RowError("contradiction", f"{flaw}.")
