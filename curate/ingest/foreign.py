"""Fields of foreign rows: small functions that read a field or raise `RowError` with what is wrong."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, takewhile
from typing import Any, Literal, cast, get_args

from curate.config.ingest import Fields
from curate.ingest.explain import TYPE_NAMES
from curate.ingest.rejection import RowError
from curate.ingest.rows import IncomingMessage, IncomingResponse, Row, Verdict
from curate.ingest.storable import check_storable
from curate.records import Kind, Outcome, Role, Shown

ForeignRow = Mapping[str, Any]

_ROLES = {"human": "user", "prompter": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
_KNOWN_ROLES = frozenset(get_args(Role))
_UNKEPT = ("tool_calls", "function_call", "images", "image", "videos", "video", "audios", "audio")


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Settings of one source: the fields of its shape, and who judged where no row says so."""

    fields: Fields
    annotator: str
    kind: Kind = "imported"


def find_value(row: ForeignRow, path: str | None) -> Any:
    """Return the value at a path with dots, or None. A key that itself has dots comes first."""
    if path is None:
        return None
    if path in row:
        return row[path]
    value: Any = row
    for step in path.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return None
        value = value[step]
    return value


def require_value(row: ForeignRow, path: str) -> Any:
    value = find_value(row, path)
    if value is None:
        raise RowError("missing key", f"`{path}` is missing.")
    return value


def check_text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise RowError("wrong type", f"`{place}` is {name_type(value)}, but should be a string.")
    return value


def get_text(row: ForeignRow, path: str | None) -> str | None:
    value = find_value(row, path)
    return None if value is None or path is None else check_text(value, path)


def get_key(row: ForeignRow, path: str | None) -> str | None:
    """Return the caller's id: numbers are ids too in foreign data."""
    value = find_value(row, path)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or path is None:
        return None
    if check_text(value, path) == "":
        raise RowError("empty id", f"`{path}` is empty.")
    return cast(str, value)


def parse_number(value: object, place: str) -> float:
    """Parse a number, or text that is one (all that CSV has)."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            parsed = float(value)
            if math.isfinite(parsed):
                return parsed
    raise RowError("wrong type", f"`{place}` is {name_type(value)}, but should be a number.")


def parse_probability(value: object, place: str) -> float:
    parsed = parse_number(value, place)
    if not 0 <= parsed <= 1:
        raise RowError("wrong value", f"`{place}` is {parsed:g}, but must be between 0 and 1.")
    return parsed


def name_type(value: object) -> str:
    return TYPE_NAMES.get(type(value), type(value).__name__)


def read_messages(value: object, place: str) -> list[IncomingMessage]:
    """Read a conversation: [{role, content}], or [{from, value}] as ShareGPT writes it; one message is one, too."""
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list):
        reason = f"`{place}` is {name_type(value)}, but should be a string or an array of messages."
        raise RowError("wrong type", reason)
    turns = []
    for position, turn in enumerate(value):
        here = f"{place}[{position}]"
        if not isinstance(turn, Mapping):
            raise RowError("wrong type", f"`{here}` is {name_type(turn)}, but should be a message.")
        for name in _UNKEPT:
            if turn.get(name):
                reason = f"`{here}.{name}` cannot be kept, and without it the conversation is another one."
                raise RowError(f"`{name}` in a message", reason)
        role_name = "role" if "role" in turn else "from"
        content_name = "content" if "content" in turn else "value"
        role = check_text(require_value(turn, role_name), f"{here}.{role_name}")
        role = _ROLES.get(role, role)
        if role not in _KNOWN_ROLES:
            raise RowError("unknown role", f"`{here}.{role_name}` is {role!r}, which is no known role.")
        content = check_text(require_value(turn, content_name), f"{here}.{content_name}")
        turns.append(IncomingMessage(role=cast(Role, role), content=content))
    return turns


def read_conversation(value: object, place: str) -> str | list[IncomingMessage]:
    """Read a prompt: text or messages; one user message is the same as its text."""
    if isinstance(value, str):
        return value
    turns = read_messages(value, place)
    if len(turns) == 1 and turns[0].role == "user":
        return cast(str, turns[0].content)
    return turns


def read_history(value: object, place: str) -> list[IncomingMessage]:
    """Read earlier turns: messages, or pairs of what was asked and answered as LLaMA-Factory writes them."""
    if not isinstance(value, list) or not any(isinstance(turn, list) for turn in value):
        return read_messages(value, place) if value else []
    turns = []
    for position, pair in enumerate(value):
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            reason = (
                f"`{place}[{position}]` should be a pair of texts: what was asked, and what was answered."
            )
            raise RowError("wrong type", reason)
        turns += [
            IncomingMessage(role="user", content=pair[0]),
            IncomingMessage(role="assistant", content=pair[1]),
        ]
    return turns


def build_prompt(row: ForeignRow, reading: SourceSettings, value: object) -> str | list[IncomingMessage]:
    """Read what was asked: the value at `prompt`, after the history and with the input that belongs to it."""
    fields = reading.fields
    asked = read_conversation(value, fields.prompt or "prompt")
    addition = get_text(row, fields.input) if fields.input != fields.prompt else None
    if addition:
        if not isinstance(asked, str):
            reason = (
                f"`{fields.input}` is text that follows a prompt, but `{fields.prompt}` is a conversation."
            )
            raise RowError("wrong type", reason)
        asked = f"{asked}\n\n{addition}"
    earlier = read_history(find_value(row, fields.history), fields.history or "history")
    return [*earlier, *as_messages(asked)] if earlier else asked


def add_system_message(
    row: ForeignRow, reading: SourceSettings, asked: str | list[IncomingMessage]
) -> str | list[IncomingMessage]:
    """Put the row's system message before a prompt that does not begin with it already."""
    system = get_text(row, reading.fields.system)
    if system is None or not system.strip():
        return asked
    turns = as_messages(asked)
    if turns and turns[0].role == "system":
        if cast(str, turns[0].content).strip() == system.strip():
            return asked
        reason = (
            f"`{reading.fields.system}` and the system message of the conversation differ: which of them held "
            f"is not known (`ignore: [{reading.fields.system}]` takes that of the conversation)."
        )
        raise RowError("two system messages", reason)
    return [IncomingMessage(role="system", content=system), *turns]


def as_messages(asked: str | list[IncomingMessage]) -> list[IncomingMessage]:
    return [IncomingMessage(role="user", content=asked)] if isinstance(asked, str) else asked


def parse_json_cell(value: str, place: str) -> Any:
    """Parse a cell that holds JSON, in which there may be characters that its text as such does not have."""
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        raise RowError("broken JSON", f"`{place}` is text, but not valid JSON.") from None
    check_storable({place: parsed})
    return parsed


def split_answers(
    a: list[IncomingMessage], b: list[IncomingMessage], places: tuple[str, str]
) -> tuple[list[IncomingMessage], str, str]:
    """Split two conversations into their common prompt and the two last answers."""
    common = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))))
    common = min(common, len(a) - 1, len(b) - 1)
    answers = []
    for turns, place in zip((a, b), places, strict=True):
        if not turns:
            raise RowError("no responses", f"`{place}` is empty.")
        if len(turns) - common > 1 and not any(turn.role == "user" for turn in turns[common:]):
            reason = f"`{place}` answers the prompt in {len(turns) - common} messages, but a response is one."
            raise RowError("several messages", reason)
        if len(turns) - common > 1:
            reason = f"`{places[0]}` and `{places[1]}` differ before their last turn, so they do not answer one prompt."
            raise RowError("different contexts", reason)
        if turns[-1].role != "assistant":
            raise RowError("no responses", f"`{place}` does not end with a turn of the assistant.")
        answers.append(cast(str, turns[-1].content))
    return a[:common], answers[0], answers[1]


def simplify_prompt(prompt: list[IncomingMessage]) -> str | list[IncomingMessage]:
    """Return one user message as its text, so that the same prompt has the same id in both forms."""
    if len(prompt) == 1 and prompt[0].role == "user":
        return cast(str, prompt[0].content)
    return prompt


def get_annotator(row: ForeignRow, reading: SourceSettings) -> str:
    value = get_key(row, reading.fields.annotator)
    return reading.annotator if value is None else value


def get_kind(row: ForeignRow, reading: SourceSettings) -> Kind:
    value = get_text(row, reading.fields.annotator_kind)
    if value is None:
        return reading.kind
    if value not in get_args(Kind):
        allowed = ", ".join(get_args(Kind))
        raise RowError(
            "wrong value", f"`{reading.fields.annotator_kind}` is {value!r}, but must be one of {allowed}."
        )
    return cast(Kind, value)


def parse_outcome(value: object, place: str, winners: Mapping[str, Outcome]) -> Outcome:
    name = str(value) if isinstance(value, str | int | float) else ""
    winner = winners.get(name, name)
    if winner not in get_args(Outcome):
        allowed = ", ".join([*winners, *get_args(Outcome)])
        raise RowError("wrong value", f"`{place}` is {value!r}, but must be one of {allowed}.")
    return cast(Outcome, winner)


def get_order(row: ForeignRow, reading: SourceSettings) -> Shown | None:
    value = get_text(row, reading.fields.shown)
    if value not in (None, "ab", "ba"):
        raise RowError("wrong value", f"`{reading.fields.shown}` is {value!r}, but must be 'ab' or 'ba'.")
    return cast(Shown | None, value)


def collect_meta(row: ForeignRow, reading: SourceSettings) -> dict[str, Any] | None:
    return {path: find_value(row, path) for path in reading.fields.meta} or None


def build_row(
    row: ForeignRow,
    reading: SourceSettings,
    prompt: str | list[IncomingMessage],
    responses: list[IncomingResponse],
    verdicts: Sequence[Verdict] = (),
) -> Row:
    return Row(
        id=get_key(row, reading.fields.id),
        prompt=prompt,
        responses=responses,
        reference=get_text(row, reading.fields.reference),
        meta=collect_meta(row, reading),
        verdicts=list(verdicts),
    )


def compare_scores(
    scores: Sequence[float | None], annotator: str, kind: Kind, best: Literal["high", "low"] | None = None
) -> list[Verdict]:
    """Turn scores of a row's responses into verdicts about its pairs; no verdict where one has no score.

    `best`: "low" where the lower score wins, as of ranks.
    """
    sign = -1 if best == "low" else 1
    verdicts = []
    for a, b in combinations(range(len(scores)), 2):
        first, second = scores[a], scores[b]
        if first is not None and second is not None:
            margin = sign * (first - second)
            winner: Outcome = "a" if margin > 0 else "b" if margin < 0 else "tie"
            verdicts.append(Verdict(a=a, b=b, annotator=annotator, kind=kind, winner=winner))
    return verdicts
