"""The decoder of a source: from a line or table row to a sound row, by the source's kind, format and fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from curate.config.ingest import Fields, Source
from curate.core.errors import CurateError
from curate.data.conversation import UnreadableMessageError
from curate.data.native import explain_contradiction
from curate.data.preference_rows import SAME_RESPONSE
from curate.ingest import mapped
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.native import RawRow, make_native_judgments_decoder, make_native_responses_decoder
from curate.ingest.parse import parse_line
from curate.ingest.ratings import MODELS, StatedRow, make_stated_decoder
from curate.ingest.rejection import RowError
from curate.ingest.rows import JudgmentRow, NativeRow, Row, find_repeated_id, is_sound, prompt_is_blank
from curate.ingest.shapes import open_shape
from curate.ingest.storable import check_storable

_decode = msgspec.json.Decoder().decode

ResponsesDecoder = Callable[[RawRow], NativeRow | list[Row]]
"""A foreign row may hold several prompts: a tree of messages does."""

JudgmentsDecoder = Callable[[RawRow], list[JudgmentRow] | list[StatedRow]]
"""A row of judgments may hold several: one for each judge, criterion or order."""


def make_responses_decoder(source: Source, *, name: str) -> ResponsesDecoder:
    """Return the decoder of a source's responses; `name`: of the data set, which stands in for an unnamed annotator."""
    if source.format == "native" and source.fields is None:
        return make_native_responses_decoder()
    fields = resolve_fields(source)
    shape = open_shape(source.format)
    _check_mapping(fields, source, name)
    return _make_foreign_decoder(
        shape.read_rows, SourceSettings.from_source(source, fields, name, shape.kind)
    )


def _check_mapping(fields: Fields, source: Source, name: str) -> None:
    """Stop a mapping of which a part would do nothing."""
    if fields.response_score is not None and (fields.chosen is not None or fields.a is not None):
        raise CurateError(
            f"{name}: format {source.format!r} with these `fields` reads no scores: `response_score: "
            f"{fields.response_score}` is for rows with a list of responses (`responses`) or a single one "
            "(`response`); two responses have `score_a` and `score_b`, or `score_chosen` and `score_rejected`."
        )
    given = source.fields.model_fields_set if source.fields is not None else frozenset()
    is_pair = fields.chosen is not None or fields.a is not None
    idle = {"aspects"} if is_pair else {"model_a", "model_b", "score_chosen", "score_rejected"}
    if is_pair or fields.response is not None:
        idle.add("ranking")
    if fields.chosen is not None or fields.response is not None:
        idle |= {"best_response", "worst_response"}
    if fields.ranking is None and fields.best_response is None and fields.worst_response is None:
        idle.add("places_from")
    if fields.winner is None and fields.score_a is None:
        idle |= {"winners", "p_a"} | (set() if fields.chosen is not None else {"margin", "shown"})
    idle = {key for key in idle & given if getattr(fields, key) not in (None, {}, "")}
    if is_pair or fields.response is not None:
        idle |= {
            f"verdicts.{number}.{key}"
            for number, entry in enumerate(fields.verdicts)
            for key in ("ranking", "best_response", "worst_response")
            if getattr(entry, key)
        }
    if idle:
        raise CurateError(
            f"{name}: `{sorted(idle)[0]}` does nothing with these `fields` of the format {source.format!r}: leave it "
            "out, or name what it belongs to (docs/formats.md has a table of the keys)."
        )
    if isinstance(fields.winner, dict) and fields.winners:
        raise CurateError(f"{name}: the columns under `winner` say what they mean: leave out `winners`.")


def resolve_fields(source: Source) -> Fields:
    """Merge the fields of a source with those of its format; what it ignores is not read by default."""
    fields = merge_fields(open_shape(source.format).fields, source.fields)
    optional = ("system", "images", "tools", "score_chosen", "score_rejected", "margin")
    ignored = {name: None for name in optional if getattr(fields, name) in fields.ignore}
    return fields.model_copy(update=ignored)


def make_judgments_decoder(source: Source, *, name: str) -> JudgmentsDecoder:
    """Make the function that decodes a source's rows of judgments, ratings or rankings."""
    if source.kind in MODELS:
        stated = make_stated_decoder(source.kind, source.annotator_kind)
        return lambda raw: [stated(raw)]
    native, kind = make_native_judgments_decoder(), source.annotator_kind
    if source.fields is not None:
        reading = SourceSettings.from_source(source, source.fields, name, "imported")

        def decode(raw: RawRow) -> list[JudgmentRow]:
            judgments = mapped.read_judgment(decode_object(raw), reading)
            if not judgments:
                raise RowError("no verdict", "The row says of no pair which response is better.")
            return [native(row) for row in judgments]

        return decode
    if kind is not None:
        return lambda raw: [native({"kind": kind, **decode_object(raw)})]
    return lambda raw: [native(raw)]


def merge_fields(defaults: Fields, overrides: Fields | None) -> Fields:
    """Return the fields of a shape with those of a source in their place; another way to hold responses replaces it."""
    if overrides is None:
        return defaults
    given = {key: getattr(overrides, key) for key in overrides.model_fields_set}
    ways = [key for key in ("responses", "response", "chosen", "a") if given.get(key) is not None]
    others = {key: None for key in ("responses", "response", "chosen", "a") if ways and key not in ways}
    lists: dict[str, object] = {  # what a shape keeps or ignores, it does beside what the source says
        key: list(dict.fromkeys([*getattr(defaults, key), *given[key]]))
        for key in ("meta", "ignore", "optional")
        if key in given
    }
    return defaults.model_copy(update={**others, **given, **lists})


def decode_object(raw: RawRow) -> Mapping[str, Any]:
    """Return a row as a dictionary in which every text can be stored."""
    if isinstance(raw, bytes) and b"\\u0000" not in raw:
        try:
            row = _decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass  # `parse` says what is wrong, if anything is
        else:
            if isinstance(row, dict):
                return row
    row = parse_line(raw) if isinstance(raw, bytes) else raw
    check_storable(row)
    return row


def _make_foreign_decoder(
    read: Callable[[ForeignRow, SourceSettings], list[Row]], reading: SourceSettings
) -> ResponsesDecoder:
    def decode(raw: RawRow) -> list[Row]:
        decoded = decode_object(raw)
        try:
            rows = read(decoded, reading)
        except UnreadableMessageError as error:
            raise RowError(error.kind, error.reason) from None
        except RecursionError:
            raise RowError("nested too deeply", "The row is nested too deeply to be read.") from None
        for row in rows:
            _check_row(row, reading.fields)
        return rows

    return decode


def _check_row(row: Row, fields: Fields) -> None:
    """Check what the native format's model checks, with messages in the words of the foreign format."""
    if not row.responses:
        raise RowError("no responses", f"`{fields.responses}` is empty.")
    if not is_sound(row):
        if prompt_is_blank(row.prompt):
            raise RowError("empty prompt", "The prompt is empty.")
        raise RowError("duplicate response id", f"Two responses have the id {find_repeated_id(row)!r}.")
    for verdict in row.verdicts:
        a, b = row.responses[verdict.a], row.responses[verdict.b]
        if (a.answer, a.model, a.id) == (b.answer, b.model, b.id):
            raise RowError(SAME_RESPONSE, "The two responses that were compared are the same.")
        flaw = explain_contradiction(verdict.winner, verdict.p_a)
        if flaw:
            raise RowError("contradiction", f"{flaw}.")
