"""Logs of chats of several turns (LMSYS-Chat-1M, WildChat): what the user says next rates the answer before it.

Each answer to which the user reacts is a response with a rating by the annotator `next-turn` of the kind `implicit`
(`curate.data.reactions`: English); so is the last answer of a chat, without one. Answers in between to which nobody
reacts stay in the prompts of those after them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
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
_MOST_TURNS, _MOST_CHARACTERS = 200_000, 64 << 20  # of all prompts that one chat gives
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
        reactions = {place: _find_reaction(turns, place) for place in places}
        taken = [place for place in places if reactions[place] is not None or place == places[-1]]
        if not taken:
            raise RowError("no responses", f"`{path}` has no answer of the assistant to a user.")
        refuse_excess(turns, taken)
        return [_build_answer(row, reading, turns, place, reactions[place]) for place in taken]


def refuse_excess(turns: tuple[Message, ...], taken: Sequence[int]) -> None:
    """Reject a chat whose answers are too many: each has all turns before it as its prompt."""
    lengths = [0, *accumulate(len(plain_text(message.content)) for message in turns)]
    n_characters, n_turns = sum(lengths[place] for place in taken), sum(taken)
    if n_characters > _MOST_CHARACTERS or n_turns > _MOST_TURNS:
        raise RowError(
            "chat too long",
            f"The prompts of its {len(taken):,} rated answers have {n_turns:,} turns and {n_characters:,} characters "
            f"together, of {_MOST_TURNS:,} and {_MOST_CHARACTERS:,} that are taken: cut the chat into several.",
        )


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
