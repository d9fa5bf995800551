"""Reads rows of any shape by the paths of `fields`: a list of responses, a chosen and a rejected one, or two."""

from __future__ import annotations

from typing import Any

from curate.ingest import foreign
from curate.ingest.foreign import Foreign, Reading
from curate.ingest.rejection import RowError
from curate.ingest.rows import Candidate, Message, Row, Verdict

NO_PROMPT = "no prompt"  # the kind of rejection by which a wrong mapping is told from single bad rows


def read(row: Foreign, reading: Reading) -> Row:
    if reading.fields.chosen is not None:
        return read_chosen(row, reading)
    if reading.fields.a is not None:
        return read_pair(row, reading)
    return read_list(row, reading)


def read_list(row: Foreign, reading: Reading) -> Row:
    """A list of responses, each a string or an object; with scores, verdicts about all pairs."""
    fields = reading.fields
    place = fields.responses or "responses"
    values = foreign.required(row, place)
    if not isinstance(values, list):
        raise RowError("wrong type", f"`{place}` is {foreign.type_name(values)}, but should be an array.")
    responses, scores = [], []
    for position, value in enumerate(values):
        candidate, score = _candidate(value, f"{place}[{position}]", reading)
        responses.append(candidate)
        scores.append(score)
    asked = foreign.prompt(row, reading, foreign.required(row, fields.prompt or "prompt"))
    prompt = foreign.with_system(row, reading, asked)
    annotator, kind = foreign.annotator(row, reading), foreign.kind(row, reading)
    verdicts = foreign.by_score(scores, annotator, kind, fields.best)
    return foreign.assemble(row, reading, prompt, responses, verdicts)


def read_chosen(row: Foreign, reading: Reading) -> Row:
    """Chosen and rejected: texts beside a prompt, or conversations that may begin with it."""
    chosen_path, rejected_path = reading.fields.chosen or "chosen", reading.fields.rejected or "rejected"
    prompt, chosen, rejected = _two_answers(row, reading, chosen_path, rejected_path)
    verdict = Verdict(
        a=0,
        b=1,
        annotator=foreign.annotator(row, reading),
        kind=foreign.kind(row, reading),
        winner="a",
        rationale=foreign.optional_text(row, reading.fields.rationale),
    )
    return foreign.assemble(row, reading, prompt, _models(row, reading, chosen, rejected), [verdict])


def read_pair(row: Foreign, reading: Reading) -> Row:
    """Two responses, and a verdict where the row has one."""
    fields = reading.fields
    prompt, a, b = _two_answers(row, reading, fields.a or "a", fields.b or "b")
    verdicts = []
    if fields.winner is not None:
        value = foreign.required(row, fields.winner)
        p_a = foreign.lookup(row, fields.p_a)
        verdict = Verdict(
            a=0,
            b=1,
            annotator=foreign.annotator(row, reading),
            kind=foreign.kind(row, reading),
            winner=foreign.outcome(value, fields.winner, fields.winners),
            p_a=None if p_a is None else foreign.probability(p_a, fields.p_a or "p_a"),
            shown=foreign.shown(row, reading),
            rationale=foreign.optional_text(row, fields.rationale),
        )
        verdicts.append(verdict)
    return foreign.assemble(row, reading, prompt, _models(row, reading, a, b), verdicts)


def read_judgment(row: Foreign, reading: Reading) -> dict[str, Any]:
    """A row of judgments under other names, as a native one (which is then checked as such)."""
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
    native = {name: foreign.lookup(row, path or name) for name, path in paths.items()}
    for name in ("prompt", "a", "b", "annotator"):
        if native[name] is not None:
            native[name] = foreign.key(row, paths[name] or name)
    if native["annotator"] is None:
        native["annotator"] = reading.annotator
    if native["kind"] is None:
        native["kind"] = reading.kind
    if native["winner"] is not None:
        native["winner"] = foreign.outcome(native["winner"], fields.winner or "winner", fields.winners)
    return {name: value for name, value in native.items() if value is not None}


def _two_answers(
    row: Foreign, reading: Reading, first: str, second: str
) -> tuple[str | list[Message], str, str]:
    """(prompt, answer, answer) of two fields that hold texts or conversations."""
    a, b = foreign.required(row, first), foreign.required(row, second)
    given = foreign.lookup(row, reading.fields.prompt)
    if isinstance(a, str) and isinstance(b, str):
        if given is None:
            raise RowError(NO_PROMPT, _no_prompt(reading.fields.prompt or "prompt", first, second))
        return foreign.with_system(row, reading, foreign.prompt(row, reading, given)), a, b
    # An answer as text beside a whole conversation (ms-swift) answers that conversation's prompt.
    plain = {place: value for place, value in ((first, a), (second, b)) if isinstance(value, str)}
    turns_a, turns_b = (
        [Message(role="assistant", content=value)] if place in plain else foreign.messages(value, place)
        for place, value in ((first, a), (second, b))
    )
    if given in (None, "", []):
        if first in plain:
            turns_a = [*turns_b[:-1], *turns_a]
        elif second in plain:
            turns_b = [*turns_a[:-1], *turns_b]
    else:
        opening = foreign.as_messages(foreign.prompt(row, reading, given))
        turns_a, turns_b = (
            _with_opening(turns, opening, reading.fields.prompt or "prompt", place)
            for turns, place in ((turns_a, first), (turns_b, second))
        )
    common, answer_a, answer_b = foreign.split_answers(turns_a, turns_b, (first, second))
    return foreign.with_system(row, reading, foreign.simplify(common)), answer_a, answer_b


def _no_prompt(name: str, first: str, second: str) -> str:
    # What two texts begin with in common may be the prompt, or just how both answers begin: nobody can tell.
    return f"`{name}` is missing, and nothing says where in the texts `{first}` and `{second}` a prompt would end."


def _with_opening(turns: list[Message], opening: list[Message], name: str, place: str) -> list[Message]:
    """Put the prompt before an answer, but not before a whole conversation, which holds it already.

    Beside whole conversations, sets repeat all of the prompt, its first question or its last one, more or less
    stripped of white space.
    """
    if not turns or turns[0].role not in ("system", "user"):
        return [*opening, *turns]
    rest = iter(turns[:-1])
    if all(any(_same(message, turn) for turn in rest) for message in opening):
        return turns
    reason = f"`{place}` is a whole conversation, but `{name}` is no part of it: one of them is about something else."
    raise RowError("different contexts", reason)


def _same(one: Message, other: Message) -> bool:
    if isinstance(one.content, str) and isinstance(other.content, str):
        return one.role == other.role and one.content.strip() == other.content.strip()
    return one == other


def _candidate(value: object, place: str, reading: Reading) -> tuple[Candidate, float | None]:
    fields = reading.fields
    if isinstance(value, str):
        return Candidate(text=value, id=None), None
    if not isinstance(value, dict):
        reason = f"`{place}` is {foreign.type_name(value)}, but should be a string or an object."
        raise RowError("wrong type", reason)
    name = fields.response_text or "text"
    content = foreign.lookup(value, name)
    if content is None:
        raise RowError("missing key", f"`{place}.{name}` is missing.")
    score = foreign.lookup(value, fields.response_score)
    candidate = Candidate(
        text=_answer(content, f"{place}.{name}"),
        id=foreign.key(value, fields.response_id),
        model=foreign.optional_text(value, fields.response_model),
    )
    return candidate, None if score is None else foreign.number(score, f"{place}.{fields.response_score}")


def _answer(content: object, place: str) -> str:
    """Text, or a conversation of one answer."""
    if isinstance(content, list | dict):
        turns = foreign.messages(content, place)
        if len(turns) != 1 or turns[0].role != "assistant":
            raise RowError("wrong value", f"`{place}` should be text, or one message of the assistant.")
        content = turns[0].content
    return foreign.text(content, place)


def _models(row: Foreign, reading: Reading, a: str, b: str) -> list[Candidate]:
    model_a = foreign.optional_text(row, reading.fields.model_a)
    model_b = foreign.optional_text(row, reading.fields.model_b)
    return [Candidate(text=a, id=None, model=model_a), Candidate(text=b, id=None, model=model_b)]
