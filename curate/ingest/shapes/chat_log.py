"""Logs of chats of several turns (LMSYS-Chat-1M, WildChat): what the user says next rates the answer before it.

Each answer to which the user reacts is a response with a rating by the annotator `next-turn` of the kind `implicit`
(`curate.data.reactions`: English); so is the last answer of a chat, without one. Answers in between to which nobody
reacts stay in the prompts of those after them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curate.config.ingest import Fields
from curate.data.conversation import read_messages
from curate.data.reactions import REACTION_SCORES, Reaction, read_reaction
from curate.ingest import foreign
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.rejection import RowError
from curate.ingest.rows import Rating, Row
from curate.ingest.shapes.base import Shape
from curate.ingest.turns import read_value
from curate.records import Message, plain_text

_MEASURED = ("openai_moderation", "detoxify_moderation", "redacted", "toxic", "turn", "timestamp")
_OF_USERS = ("state", "country", "hashed_ip", "header")


class ChatLog(Shape):
    """A chat, with its turns in the column of `prompt`."""

    fields = Fields(
        prompt="conversation",
        response_model="model",
        meta=["language"],
        ignore=["conversation_id", "conversation_hash", *_MEASURED, *_OF_USERS],
        optional=["language"],
    )
    columns = (frozenset({"conversation", "model", "turn"}),)
    kind = "implicit"
    description = "chats of several turns (LMSYS-Chat-1M, WildChat), whose next turns rate the answers"
    example: Mapping[str, Any] | None = {
        "row": {
            "conversation_id": "c1",
            "model": "m1",
            "turn": 1,
            "language": "English",
            "conversation": [
                {"role": "user", "content": "Name a tree."},
                {"role": "assistant", "content": "An oak."},
            ],
        },
        "prompt": [["user", "Name a tree."]],
        "responses": ["An oak."],
        "models": ["m1"],
        "verdicts": [],
    }

    def read_rows(self, row: ForeignRow, reading: SourceSettings) -> list[Row]:
        """Read the answers of a chat that a user reacts to, and the last one."""
        path = reading.fields.prompt or "conversation"
        turns = read_messages(read_value(foreign.require_value(row, path), path, reading.fields), path)
        places = [
            place
            for place, message in enumerate(turns)
            if message.role == "assistant" and place and turns[place - 1].role == "user"
        ]
        rows = []
        for place in places:
            reaction = _find_reaction(turns, place)
            if reaction is not None or place == places[-1]:
                rows.append(_build_answer(row, reading, turns, place, reaction))
        if not rows:
            raise RowError("no responses", f"`{path}` has no answer of the assistant to a user.")
        return rows


def _find_reaction(turns: tuple[Message, ...], place: int) -> Reaction | None:
    after = turns[place + 1] if place + 1 < len(turns) else None
    if after is None or after.role != "user":
        return None
    return read_reaction(plain_text(turns[place - 1].content), plain_text(after.content))


def _build_answer(
    row: ForeignRow,
    reading: SourceSettings,
    turns: tuple[Message, ...],
    place: int,
    reaction: Reaction | None,
) -> Row:
    model = foreign.get_text(row, reading.fields.response_model)
    ratings = [
        Rating(
            response=0, annotator="next-turn", kind="implicit", score=REACTION_SCORES[name], rationale=name
        )
        for name in ([reaction] if reaction else [])
    ]
    answer = foreign.make_response(turns[place : place + 1], model=model)
    return foreign.build_row(row, reading, turns[:place], [answer], ratings=ratings)
