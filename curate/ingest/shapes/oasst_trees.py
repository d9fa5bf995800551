"""Open-Assistant: trees of messages, in which people ranked the answers beside each other (arXiv 2304.07327).

A row is a tree: `prompt` is its first message, and each message has `replies`. Every message of a prompter whose
answers are two or more is a prompt; `rank` 0 is the best answer. What was deleted, or not accepted in review, is no
answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from curate.config.ingest import Fields
from curate.ingest import foreign
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.rejection import RowError
from curate.ingest.rows import IncomingResponse, Row
from curate.ingest.shapes.base import Shape
from curate.ingest.verdicts import Scope, compare_scores
from curate.records import Message, Role, text_parts

ROLES: Mapping[str, Role] = {"prompter": "user", "assistant": "assistant"}


class OasstTrees(Shape):
    """A tree of messages with ranked answers."""

    fields = Fields(prompt="prompt", best="low", ignore=["message_tree_id", "tree_state"])
    columns = (frozenset({"message_tree_id", "prompt"}),)
    kind = "human"
    description = "trees of messages (`*.trees.jsonl`), of which people ranked the answers"
    example: Mapping[str, Any] | None = {
        "row": {
            "message_tree_id": "t1",
            "tree_state": "ready_for_export",
            "prompt": {
                "message_id": "t1",
                "text": "Name a tree.",
                "role": "prompter",
                "replies": [
                    {"message_id": "m1", "text": "A cod.", "role": "assistant", "rank": 1, "replies": []},
                    {"message_id": "m2", "text": "An oak.", "role": "assistant", "rank": 0, "replies": []},
                ],
            },
        },
        "prompt": [["user", "Name a tree."]],
        "responses": ["A cod.", "An oak."],
        "verdicts": [{"a": 0, "b": 1, "winner": "b", "kind": "human", "margin": None}],
    }

    def read_rows(self, row: ForeignRow, reading: SourceSettings) -> list[Row]:
        """Read the prompts of a tree."""
        root = foreign.require_value(row, reading.fields.prompt or "prompt")
        if not isinstance(root, dict):
            raise RowError("wrong type", f"`prompt` is {foreign.name_type(root)}, but should be a message.")
        rows = list(_walk_tree(root, (), reading))
        if not rows:
            raise RowError("no responses", "No message of the tree has two answers to compare.")
        return rows


def _walk_tree(
    node: Mapping[str, Any], before: tuple[Message, ...], reading: SourceSettings
) -> Iterator[Row]:
    role = ROLES.get(str(node.get("role")))
    if role is None:
        raise RowError("unknown role", f"A message of the tree has the role {node.get('role')!r}.")
    text = foreign.check_text(foreign.require_value(node, "text"), "text")
    turns = (*before, Message(role=role, content=text_parts(text)))
    below = node.get("replies") or []
    if not isinstance(below, list):
        raise RowError("wrong type", f"`replies` is {foreign.name_type(below)}, but should be an array.")
    replies = [reply for reply in below if isinstance(reply, dict) and _is_kept(reply)]
    answers = [reply for reply in replies if reply.get("role") == "assistant"]
    if role == "user" and len(answers) >= 2:
        scores = [
            None if answer.get("rank") is None else foreign.parse_number(answer["rank"], "rank")
            for answer in answers
        ]
        responses = [
            IncomingResponse(
                id=foreign.get_key(answer, "message_id"),
                text=foreign.check_text(foreign.require_value(answer, "text"), "text"),
                model=foreign.get_text(answer, "model_name"),
            )
            for answer in answers
        ]
        verdicts = compare_scores(scores, Scope(node, node, reading.fields, reading))
        yield Row(
            id=foreign.get_key(node, "message_id"), prompt=turns, responses=responses, verdicts=verdicts
        )
    for reply in replies:
        yield from _walk_tree(reply, turns, reading)


def _is_kept(reply: Mapping[str, Any]) -> bool:
    return not reply.get("deleted") and reply.get("review_result") is not False
