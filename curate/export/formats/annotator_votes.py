"""The format `annotator-votes`: what each annotator said of each pair, before anything is put together.

The columns `prompt`, `chosen` and `rejected` are those of `trl-preference`, so that a model of one annotator, or of a
group, can be trained on a part of the rows.
"""

from __future__ import annotations

from typing import Any

from curate.export.formats.dialogue import list_images
from curate.export.formats.row_format import RowFormat
from curate.export.formats.tasks import Dict
from curate.export.rows import ChatMessage, MessageDict
from curate.records import Record


class AnnotatorVoteRow(Record):
    """One vote. `n_judgments`: how often the annotator was asked; `p_chosen`: its own probability, if any."""

    prompt: tuple[ChatMessage, ...]
    chosen: tuple[ChatMessage, ...]
    rejected: tuple[ChatMessage, ...]
    annotator_id: str
    kind: str
    p_chosen: float | None
    n_judgments: int
    prompt_id: str
    chosen_id: str
    rejected_id: str
    chosen_model: str | None
    rejected_model: str | None


class AnnotatorVoteConversationRow(AnnotatorVoteRow):
    """An `AnnotatorVoteRow` where a prompt or response has more than text."""

    prompt: tuple[MessageDict, ...]  # type: ignore[assignment]
    chosen: tuple[MessageDict, ...]  # type: ignore[assignment]
    rejected: tuple[MessageDict, ...]  # type: ignore[assignment]
    tools: tuple[dict[str, Any], ...] | None
    images: tuple[str, ...] = ()


class AnnotatorVotes(RowFormat):
    """Votes of single annotators: which response of a pair each of them prefers."""

    rows = "votes"
    Row = AnnotatorVoteRow
    ConversationRow = AnnotatorVoteConversationRow
    checks_rows = False
    title = "Votes of single annotators"

    def write_row(self, row: Dict) -> Dict:
        """Return the row of a vote."""
        sides = {side: row[side] for side in ("chosen", "rejected")}
        return (
            row
            | {side: response["messages"] for side, response in sides.items()}
            | {f"{side}_id": response["response_id"] for side, response in sides.items()}
            | {f"{side}_model": response["model"] for side, response in sides.items()}
            | {"images": list_images(row["prompt"])}
        )
