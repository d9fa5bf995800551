"""Open-Assistant as messages: one a row, each with the id of the one that it answers (`OpenAssistant/oasst1`).

The rows of a tree are put together as `oasst-trees` has them. Reviewers' labels, emojis and dates are not read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from curate.ingest.chunks import ReadRow
from curate.ingest.foreign import check_text, get_key, require_value
from curate.ingest.rejection import Rejection, RowError, shorten_raw
from curate.ingest.shapes.oasst_trees import ROLES, OasstTrees

_DEEPEST = 100  # messages, one below the other
_READ = ("message_id", "text", "role", "rank", "deleted", "review_result", "model_name")


@dataclass(slots=True)
class _Message:
    number: int
    parent: str | None
    tree: dict[str, Any]
    node: dict[str, Any]


class OasstMessages(OasstTrees):
    """Rows that are messages of trees, in any order."""

    columns = (frozenset({"message_id", "parent_id", "text", "role", "rank"}),)
    gathers = True
    description = "Open-Assistant's messages (`OpenAssistant/oasst1`), one a row, whose answers people ranked"
    example: Mapping[str, Any] | None = None  # one row alone says nothing

    def gather_rows(self, rows: Iterator[tuple[int, ReadRow]]) -> Iterator[tuple[int, ReadRow]]:
        """Put the messages of each tree together; those that no first message leads to are rejected."""
        messages: dict[str, _Message] = {}
        gathered: list[tuple[int, ReadRow]] = []
        for number, raw in rows:
            try:
                if isinstance(raw, Rejection):
                    gathered.append((number, raw))
                    continue
                message = _read_message(number, raw, messages.keys())
                messages[message.node["message_id"]] = message
            except RowError as error:
                text = shorten_raw(raw if isinstance(raw, bytes) else repr(raw))
                gathered.append((number, Rejection(number, error.kind, error.reason, text)))
        gathered += _build_trees(messages)
        yield from sorted(gathered, key=lambda pair: pair[0])


def _read_message(number: int, raw: ReadRow, known: Collection[str]) -> _Message:
    from curate.ingest.decoders import decode_object  # which knows the shapes

    assert not isinstance(raw, Rejection)
    row = decode_object(raw)
    node = {name: row.get(name) for name in _READ}
    node["message_id"] = get_key(row, "message_id")
    if node["message_id"] is None:
        raise RowError("missing key", "`message_id` is missing.")
    if node["message_id"] in known:
        raise RowError("duplicate message id", f"An earlier row has the message {node['message_id']!r}.")
    check_text(require_value(row, "text"), "text")
    if node["role"] not in ROLES:
        raise RowError("unknown role", f"`role` is {node['role']!r}, but must be one of {', '.join(ROLES)}.")
    tree = {name: row.get(name) for name in ("message_tree_id", "tree_state")}
    return _Message(number, get_key(row, "parent_id"), tree, {**node, "replies": []})


def _build_trees(messages: Mapping[str, _Message]) -> Iterator[tuple[int, ReadRow]]:
    for message in messages.values():
        if message.parent is not None and message.parent in messages:
            messages[message.parent].node["replies"].append(message.node)
    reached = set[str]()
    for name, message in messages.items():
        if message.parent is None:
            depth, level = 0, [message.node]
            while level:
                depth += 1
                reached.update(node["message_id"] for node in level)
                level = [reply for node in level for reply in node["replies"]]
            if depth > _DEEPEST:
                reason = (
                    f"The tree has {depth:,} messages one below the other; more than {_DEEPEST} are not read."
                )
                yield message.number, _reject(message, "nested too deeply", reason)
            else:
                yield message.number, {**message.tree, "message_tree_id": name, "prompt": message.node}
    for name in messages.keys() - reached:
        message = messages[name]
        reason = f"No first message of a tree leads to it: `parent_id` is {message.parent!r}."
        yield message.number, _reject(message, "without a tree", reason)


def _reject(message: _Message, kind: str, reason: str) -> Rejection:
    row = {name: value for name, value in message.node.items() if name != "replies"}
    return Rejection(message.number, kind, reason, shorten_raw(repr(row)))
