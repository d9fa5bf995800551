"""Chatbot Arena: battles of two models, judged by people (arXiv 2403.04132), in its two published shapes.

Conversations (`conversation_a`, `conversation_b`, `winner`), or the CSV of the 2024 competition
(`prompt`, `response_a`, `response_b` as JSON arrays of turns, and three columns of zeros and ones).
A vote about `turn` 1 of a conversation is one about its first answers (MT-bench).
Where the models' earlier answers differ, the vote was about the whole: a response is then the turns from there on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from curate.config.ingest import Fields
from curate.ingest import foreign, mapped
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.paths import parse_json_cell
from curate.ingest.rejection import RowError
from curate.ingest.rows import Row
from curate.ingest.shapes.base import Shape

FIELDS = Fields(
    id=None,
    a="conversation_a",
    b="conversation_b",
    model_a="model_a",
    model_b="model_b",
    winner="winner",
    winners={"model_a": "a", "model_b": "b", "tie (bothbad)": "both_bad", "both_bad": "both_bad"},
    annotator="judge",
    ignore=[
        *(
            "question_id",
            "id",
            "tstamp",
            "timestamp",
            "anony",
            "language",
            "openai_moderation",
            "toxic_chat_tag",
        ),
        *(
            "is_code",
            "is_refusal",
            "dedup_tag",
            "category_tag",
            "conv_metadata",
            "judge_hash",
            "full_conversation",
        ),
        *("evaluation_session_id", "evaluation_order"),
    ],
)
_TABLE = frozenset({"prompt", "response_a", "response_b", "winner_model_a", "winner_model_b", "winner_tie"})
READS = _TABLE | {"turn"}
COLUMNS = (frozenset({"conversation_a", "conversation_b", "winner"}), _TABLE)


class LmsysArena(Shape):
    """A battle of two models."""

    fields = FIELDS
    columns = COLUMNS
    reads = READS
    kind = "human"
    reads_json = True
    description = (
        "Chatbot Arena (33k, 55k, 100k, 140k) and MT-bench, battles of two models judged by people or by GPT-4; "
        "a vote on `turn` 1 is about the first answers"
    )

    def read_row(self, row: ForeignRow, reading: SourceSettings) -> Row:
        """Read a row."""
        judge = row.get(reading.fields.annotator or "judge")
        if isinstance(judge, list) and all(
            isinstance(name, str) for name in judge
        ):  # a model and its prompt (MT-bench)
            row = {**row, reading.fields.annotator or "judge": "/".join(judge)}
            reading = replace(reading, kind="llm")
        if reading.fields.a not in row and "response_a" in row:
            row = {
                **row,
                "conversation_a": _dialogue(row, "response_a"),
                "conversation_b": _dialogue(row, "response_b"),
                "winner": _read_winner_flags(row),
            }
            own = {
                "prompt": None,
                **{name: getattr(FIELDS, name) for name in ("a", "b", "winner", "winners")},
            }
            reading = replace(reading, fields=reading.fields.model_copy(update=own))
        elif row.get("turn") is not None:
            turn = foreign.parse_number(row["turn"], "turn")
            paths = [path for path in (reading.fields.a, reading.fields.b) if path is not None]
            row = {**row, **{path: _until(row.get(path), turn) for path in paths}}
        return mapped.read_pair(row, reading)


def _until(conversation: Any, turn: float) -> Any:
    """The conversation up to the answer that the vote is about: MT-bench has votes on the first of two."""
    if not isinstance(conversation, list):
        return conversation
    answered = 0
    for position, message in enumerate(conversation, 1):
        answered += isinstance(message, dict) and message.get("role") == "assistant"
        if answered >= turn:
            return conversation[:position]
    return conversation


def _dialogue(row: ForeignRow, answers: str) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    asked, answered = _turns(row, "prompt"), _turns(row, answers)
    if len(asked) != len(answered):
        raise RowError(
            "wrong value", f"`prompt` has {len(asked)} turns, but `{answers}` has {len(answered)}."
        )
    for question, answer in zip(asked, answered, strict=True):
        turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return turns


def _turns(row: ForeignRow, path: str) -> list[Any]:
    value = foreign.require_value(row, path)
    if isinstance(value, str):
        value = parse_json_cell(value, path)
    if not isinstance(value, list):
        raise RowError(
            "wrong type", f"`{path}` is {foreign.name_type(value)}, but should be an array of turns."
        )
    return value


def _read_winner_flags(row: ForeignRow) -> str:
    flags = {"winner_model_a": "model_a", "winner_model_b": "model_b", "winner_tie": "tie"}
    raised = [name for name in flags if str(row.get(name)) in ("1", "1.0", "True")]
    if len(raised) != 1:
        raise RowError("wrong value", f"Exactly one of {', '.join(flags)} must be 1, not {len(raised)}.")
    return flags[raised[0]]
