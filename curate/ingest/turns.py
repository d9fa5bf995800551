"""Values of a foreign row before they are read as messages: JSON in cells, transcripts, roles, turns side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from curate.config.mapping import Fields
from curate.data.conversation import build_dicts
from curate.data.preference_rows import parse_transcript
from curate.ingest.paths import get_column, parse_json_cell
from curate.ingest.rejection import RowError
from curate.records import Role

_CHATML = re.compile(r"<\|im_start\|>(\w+)\n(.*?)(?:<\|im_end\|>\s*|\Z)", re.DOTALL)
CHATML_MARK, TRANSCRIPT_MARK = "<|im_start|>", "\n\nHuman:"


def read_value(value: Any, place: str, fields: Fields, *, is_prompt: bool = False) -> Any:
    """Return a value as messages are read from: text, or a list of messages, with roles under their usual names.

    Args:
        value: What the row has.
        place: Its path.
        fields: The mapping: `json_columns`, `transcript`, `roles`.
        is_prompt: Whether `transcript` is about it.

    Raises:
        RowError: Text that should be JSON, or a transcript, is none.
    """
    if isinstance(value, str) and (place in fields.json_columns or get_column(place) in fields.json_columns):
        value = parse_json_cell(value, place)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        value = value[0] if place in fields.json_columns else value
    if is_prompt and fields.transcript is not None and isinstance(value, str):
        value = parse_marked_text(value, place, fields.transcript)
    return rename_roles(value, fields.roles) if fields.roles else value


def parse_marked_text(text: str, place: str, marks: str) -> list[dict[str, Any]]:
    """Parse a prompt that is a transcript; the mark of the answer that is still to come is no turn."""
    if marks == "chatml":
        if not text.lstrip().startswith(CHATML_MARK) or _CHATML.sub("", text).strip():
            raise RowError("no transcript", f"`{place}` is no text of {CHATML_MARK} … <|im_end|> alone.")
        turns = [{"role": role, "content": content} for role, content in _CHATML.findall(text)]
    else:
        turns = build_dicts(parse_transcript(text, place))
    if turns and turns[-1]["role"] == "assistant" and not turns[-1]["content"]:
        turns.pop()
    return turns


def rename_roles(value: Any, roles: Mapping[str, Role]) -> Any:
    """Return messages with the roles that `roles` gives other names."""
    if isinstance(value, list):
        return [rename_roles(item, roles) for item in value]
    if isinstance(value, Mapping):
        named = {name: value.get(name) for name in ("role", "from")}
        renamed = {
            name: roles[role] for name, role in named.items() if isinstance(role, str) and role in roles
        }
        return {**value, **renamed}
    return value


def are_parallel_turns(asked: object, answers: Sequence[object]) -> bool:
    """Tell whether a prompt and its answers are lists of texts: the turns of conversations, each side by itself."""
    return _is_list_of_texts(asked) and all(map(_is_list_of_texts, answers))


def join_turns(asked: Sequence[Any], answers: Sequence[Any], place: str, other: str) -> list[dict[str, Any]]:
    """Join what was asked and what was answered, turn by turn, to a conversation."""
    if len(asked) != len(answers):
        raise RowError("wrong value", f"`{place}` has {len(asked)} turns, but `{other}` has {len(answers)}.")
    turns: list[dict[str, Any]] = []
    for question, answer in zip(asked, answers, strict=True):
        turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return turns


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str | None) for item in value)
