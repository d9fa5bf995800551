"""Reads rows of any shape by the paths of `fields`: a list of responses, a chosen and a rejected one, or two."""

from __future__ import annotations

from typing import Any

from curate.ingest import foreign
from curate.ingest.foreign import Foreign, Reading
from curate.ingest.rejection import RowError
from curate.ingest.rows import Candidate, Message, Row, Verdict


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
    name = fields.prompt or "prompt"
    prompt = foreign.conversation(foreign.required(row, name), name)
    verdicts = foreign.by_score(scores, foreign.annotator(row, reading), foreign.kind(row, reading))
    return foreign.assemble(row, reading, prompt, responses, verdicts)


def read_chosen(row: Foreign, reading: Reading) -> Row:
    """Chosen and rejected: texts or conversations, with the prompt apart or as their common beginning."""
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
            return implicit_prompt(a, b, (first, second))
        return foreign.conversation(given, reading.fields.prompt or "prompt"), a, b
    turns_a, turns_b = foreign.messages(a, first), foreign.messages(b, second)
    if given is not None:
        prompt = foreign.conversation(given, reading.fields.prompt or "prompt")
        opening = [Message(role="user", content=prompt)] if isinstance(prompt, str) else prompt
        # Some sets repeat the prompt at the head of both conversations, some do not.
        turns_a, turns_b = (
            turns if turns[: len(opening)] == opening else [*opening, *turns] for turns in (turns_a, turns_b)
        )
    common, answer_a, answer_b = foreign.split_answers(turns_a, turns_b, (first, second))
    return foreign.simplify(common), answer_a, answer_b


def implicit_prompt(a: str, b: str, places: tuple[str, str]) -> tuple[str, str, str]:
    """Two texts that begin with their prompt, as (prompt, rest, rest): cut at the last blank they share."""
    shared = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    cut = max(a.rfind(blank, 0, shared) for blank in (" ", "\n", "\t")) + 1
    if not a[:cut].strip():
        reason = f"There is no prompt: `{places[0]}` and `{places[1]}` have no common beginning."
        raise RowError("empty prompt", reason)
    return a[:cut].rstrip(), a[cut:], b[cut:]


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
        text=foreign.text(content, f"{place}.{name}"),
        id=foreign.key(value, fields.response_id),
        model=foreign.optional_text(value, fields.response_model),
    )
    return candidate, None if score is None else foreign.number(score, f"{place}.{fields.response_score}")


def _models(row: Foreign, reading: Reading, a: str, b: str) -> list[Candidate]:
    model_a = foreign.optional_text(row, reading.fields.model_a)
    model_b = foreign.optional_text(row, reading.fields.model_b)
    return [Candidate(text=a, id=None, model=model_a), Candidate(text=b, id=None, model=model_b)]
