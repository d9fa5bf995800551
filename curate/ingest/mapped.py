"""Rows of any shape, read by the paths of `fields`: a list of responses, a chosen and a rejected one, or two."""

from __future__ import annotations

from typing import Any

from curate.data.conversation import Conversation
from curate.data.preference_rows import PairColumns, PreferencePair, read_response, split_pair
from curate.ingest import foreign
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.rejection import RowError
from curate.ingest.rows import IncomingResponse, Row, Verdict


def read_mapped(row: ForeignRow, reading: SourceSettings) -> Row:
    """Read a row in the one of three ways that its fields name."""
    if reading.fields.chosen is not None:
        return read_chosen(row, reading)
    if reading.fields.a is not None:
        return read_pair(row, reading)
    return read_list(row, reading)


def read_list(row: ForeignRow, reading: SourceSettings) -> Row:
    """Read a list of responses, each a string or an object; with scores, verdicts about all pairs."""
    fields = reading.fields
    place = fields.responses or "responses"
    values = foreign.require_value(row, place)
    if not isinstance(values, list):
        raise RowError("wrong type", f"`{place}` is {foreign.name_type(values)}, but should be an array.")
    responses, scores = [], []
    for position, value in enumerate(values):
        candidate, score = _read_response(value, f"{place}[{position}]", reading)
        responses.append(candidate)
        scores.append(score)
    prompt = foreign.build_prompt(row, reading, foreign.require_value(row, fields.prompt or "prompt"))
    annotator, kind = foreign.get_annotator(row, reading), foreign.get_kind(row, reading)
    verdicts = foreign.compare_scores(scores, annotator, kind, fields.best)
    return foreign.build_row(row, reading, prompt, responses, verdicts)


def read_chosen(row: ForeignRow, reading: SourceSettings) -> Row:
    """Read a chosen and a rejected response: texts beside a prompt, or conversations that may begin with it."""
    chosen_path, rejected_path = reading.fields.chosen or "chosen", reading.fields.rejected or "rejected"
    pair = _read_two_answers(row, reading, chosen_path, rejected_path)
    verdict = Verdict(
        a=0,
        b=1,
        annotator=foreign.get_annotator(row, reading),
        kind=foreign.get_kind(row, reading),
        winner="a",
        rationale=foreign.get_text(row, reading.fields.rationale),
    )
    return foreign.build_row(row, reading, pair.prompt, _build_two_responses(row, reading, pair), [verdict])


def read_pair(row: ForeignRow, reading: SourceSettings) -> Row:
    """Read two responses, and a verdict where the row has one."""
    fields = reading.fields
    pair = _read_two_answers(row, reading, fields.a or "a", fields.b or "b")
    verdicts = []
    if fields.winner is not None:
        value = foreign.require_value(row, fields.winner)
        p_a = foreign.find_value(row, fields.p_a)
        verdict = Verdict(
            a=0,
            b=1,
            annotator=foreign.get_annotator(row, reading),
            kind=foreign.get_kind(row, reading),
            winner=foreign.parse_outcome(value, fields.winner, fields.winners),
            p_a=None if p_a is None else foreign.parse_probability(p_a, fields.p_a or "p_a"),
            shown=foreign.get_order(row, reading),
            rationale=foreign.get_text(row, fields.rationale),
        )
        verdicts.append(verdict)
    return foreign.build_row(row, reading, pair.prompt, _build_two_responses(row, reading, pair), verdicts)


def read_judgment(row: ForeignRow, reading: SourceSettings) -> dict[str, Any]:
    """Read a row of judgments under other names as a native one (which is then checked as such)."""
    fields = reading.fields
    paths = {
        "prompt": fields.prompt,
        "a": fields.a,
        "b": fields.b,
        "annotator": fields.annotator,
        "kind": fields.annotator_kind,
        "winner": fields.winner,
        "shown": fields.shown,
        "p_a": fields.p_a,
        "rationale": fields.rationale,
    }
    native = {name: foreign.find_value(row, path or name) for name, path in paths.items()}
    for name in ("prompt", "a", "b", "annotator"):
        if native[name] is not None:
            native[name] = foreign.get_key(row, paths[name] or name)
    if native["annotator"] is None:
        native["annotator"] = reading.annotator
    if native["kind"] is None:
        native["kind"] = reading.kind
    if native["winner"] is not None:
        native["winner"] = foreign.parse_outcome(native["winner"], fields.winner or "winner", fields.winners)
    return {name: value for name, value in native.items() if value is not None}


def _read_two_answers(row: ForeignRow, reading: SourceSettings, first: str, second: str) -> PreferencePair:
    """Read the two answers of a row, texts or conversations, and what they answer."""
    fields = reading.fields
    a, b = foreign.require_value(row, first), foreign.require_value(row, second)
    given = foreign.find_value(row, fields.prompt)
    asked: Conversation | None = None
    if given is not None and (given not in ("", []) or isinstance(a, str)):
        asked = foreign.build_prompt(row, reading, given)
    columns = PairColumns(fields.prompt or "prompt", first, second)
    return split_pair(asked, a, b, columns)


def _read_response(
    value: object, place: str, reading: SourceSettings
) -> tuple[IncomingResponse, float | None]:
    fields = reading.fields
    if isinstance(value, str):
        return IncomingResponse(text=value, id=None), None
    if not isinstance(value, dict):
        reason = f"`{place}` is {foreign.name_type(value)}, but should be a string or an object."
        raise RowError("wrong type", reason)
    name = fields.response_text or "text"
    content = foreign.find_value(value, name)
    if content is None:
        raise RowError("missing key", f"`{place}.{name}` is missing.")
    score = foreign.find_value(value, fields.response_score)
    candidate = foreign.make_response(
        read_response(content, f"{place}.{name}"),
        id=foreign.get_key(value, fields.response_id),
        model=foreign.get_text(value, fields.response_model),
    )
    return candidate, None if score is None else foreign.parse_number(
        score, f"{place}.{fields.response_score}"
    )


def _build_two_responses(
    row: ForeignRow, reading: SourceSettings, pair: PreferencePair
) -> list[IncomingResponse]:
    return [
        foreign.make_response(pair.chosen, model=foreign.get_text(row, reading.fields.model_a)),
        foreign.make_response(pair.rejected, model=foreign.get_text(row, reading.fields.model_b)),
    ]
