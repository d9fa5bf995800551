"""Rows of any shape, read by the paths of `fields`: a list of responses, a chosen and a rejected one, or two."""

from __future__ import annotations

from typing import Any

from curate.ingest import foreign
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.rejection import RowError
from curate.ingest.rows import IncomingMessage, IncomingResponse, Row, Verdict

NO_PROMPT = "no prompt"  # the kind of rejection by which a wrong mapping is told from single bad rows


def read_mapped(row: ForeignRow, reading: SourceSettings) -> Row:
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
    asked = foreign.build_prompt(row, reading, foreign.require_value(row, fields.prompt or "prompt"))
    prompt = foreign.add_system_message(row, reading, asked)
    annotator, kind = foreign.get_annotator(row, reading), foreign.get_kind(row, reading)
    verdicts = foreign.compare_scores(scores, annotator, kind, fields.best)
    return foreign.build_row(row, reading, prompt, responses, verdicts)


def read_chosen(row: ForeignRow, reading: SourceSettings) -> Row:
    """Read a chosen and a rejected response: texts beside a prompt, or conversations that may begin with it."""
    chosen_path, rejected_path = reading.fields.chosen or "chosen", reading.fields.rejected or "rejected"
    prompt, chosen, rejected = _read_two_answers(row, reading, chosen_path, rejected_path)
    verdict = Verdict(
        a=0,
        b=1,
        annotator=foreign.get_annotator(row, reading),
        kind=foreign.get_kind(row, reading),
        winner="a",
        rationale=foreign.get_text(row, reading.fields.rationale),
    )
    return foreign.build_row(
        row, reading, prompt, _build_two_responses(row, reading, chosen, rejected), [verdict]
    )


def read_pair(row: ForeignRow, reading: SourceSettings) -> Row:
    """Read two responses, and a verdict where the row has one."""
    fields = reading.fields
    prompt, a, b = _read_two_answers(row, reading, fields.a or "a", fields.b or "b")
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
    return foreign.build_row(row, reading, prompt, _build_two_responses(row, reading, a, b), verdicts)


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


def _read_two_answers(
    row: ForeignRow, reading: SourceSettings, first: str, second: str
) -> tuple[str | list[IncomingMessage], str, str]:
    """Read (prompt, answer, answer) of two fields that hold texts or conversations."""
    a, b = foreign.require_value(row, first), foreign.require_value(row, second)
    given = foreign.find_value(row, reading.fields.prompt)
    if isinstance(a, str) and isinstance(b, str):
        if given is None:
            raise RowError(NO_PROMPT, _explain_no_prompt(reading.fields.prompt or "prompt", first, second))
        return foreign.add_system_message(row, reading, foreign.build_prompt(row, reading, given)), a, b
    # An answer as text beside a whole conversation (ms-swift) answers that conversation's prompt.
    plain = {place: value for place, value in ((first, a), (second, b)) if isinstance(value, str)}
    turns_a, turns_b = (
        [IncomingMessage(role="assistant", content=value)]
        if place in plain
        else foreign.read_messages(value, place)
        for place, value in ((first, a), (second, b))
    )
    if given in (None, "", []):
        if first in plain:
            turns_a = [*turns_b[:-1], *turns_a]
        elif second in plain:
            turns_b = [*turns_a[:-1], *turns_b]
    else:
        opening = foreign.as_messages(foreign.build_prompt(row, reading, given))
        turns_a, turns_b = (
            _add_opening(turns, opening, reading.fields.prompt or "prompt", place)
            for turns, place in ((turns_a, first), (turns_b, second))
        )
    common, answer_a, answer_b = foreign.split_answers(turns_a, turns_b, (first, second))
    return foreign.add_system_message(row, reading, foreign.simplify_prompt(common)), answer_a, answer_b


def _explain_no_prompt(name: str, first: str, second: str) -> str:
    # What two texts begin with in common may be the prompt, or just how both answers begin: nobody can tell.
    return f"`{name}` is missing, and nothing says where in the texts `{first}` and `{second}` a prompt would end."


def _add_opening(
    turns: list[IncomingMessage], opening: list[IncomingMessage], name: str, place: str
) -> list[IncomingMessage]:
    """Put the prompt before an answer, but not before a whole conversation, which holds it already.

    Beside whole conversations, sets repeat all of the prompt, its first question or its last one, more or less
    stripped of white space.
    """
    if not turns or turns[0].role not in ("system", "user"):
        return [*opening, *turns]
    rest = iter(turns[:-1])
    if all(any(_is_same_message(message, turn) for turn in rest) for message in opening):
        return turns
    reason = f"`{place}` is a whole conversation, but `{name}` is no part of it: one of them is about something else."
    raise RowError("different contexts", reason)


def _is_same_message(one: IncomingMessage, other: IncomingMessage) -> bool:
    if isinstance(one.content, str) and isinstance(other.content, str):
        return one.role == other.role and one.content.strip() == other.content.strip()
    return one == other


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
    candidate = IncomingResponse(
        text=_read_answer(content, f"{place}.{name}"),
        id=foreign.get_key(value, fields.response_id),
        model=foreign.get_text(value, fields.response_model),
    )
    return candidate, None if score is None else foreign.parse_number(
        score, f"{place}.{fields.response_score}"
    )


def _read_answer(content: object, place: str) -> str:
    """Read an answer: text, or a conversation of one message."""
    if isinstance(content, list | dict):
        turns = foreign.read_messages(content, place)
        if len(turns) != 1 or turns[0].role != "assistant":
            raise RowError("wrong value", f"`{place}` should be text, or one message of the assistant.")
        content = turns[0].content
    return foreign.check_text(content, place)


def _build_two_responses(row: ForeignRow, reading: SourceSettings, a: str, b: str) -> list[IncomingResponse]:
    model_a = foreign.get_text(row, reading.fields.model_a)
    model_b = foreign.get_text(row, reading.fields.model_b)
    return [
        IncomingResponse(text=a, id=None, model=model_a),
        IncomingResponse(text=b, id=None, model=model_b),
    ]
