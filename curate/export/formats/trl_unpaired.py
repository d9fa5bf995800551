"""The format `trl-unpaired`: single responses with a label, for KTO and BCO.

Columns as TRL documents them: docs/source/dataset_formats.md, "unpaired preference" (prompt, completion, label), at
huggingface/trl f2cd577, and as KTOTrainer and BCOTrainer of TRL 1.16 read them.
"""

from __future__ import annotations

from typing import Any, Literal

from curate.core.section import Section
from curate.export.formats.dialogue import list_images
from curate.export.formats.tasks import TaskFormat
from curate.export.rows import ChatMessage, MessageDict
from curate.records import Record


class BinaryOptions(Section):
    """The one task of the format."""

    task: Literal["binary"] = "binary"


class UnpairedRow(Record):
    """A response with `label`: true where it is better than all it is compared with, false where it is worse."""

    prompt: tuple[ChatMessage, ...]
    completion: tuple[ChatMessage, ...]
    label: bool
    prompt_id: str
    response_id: str
    model: str | None
    iteration: int


class UnpairedConversationRow(UnpairedRow):
    """An `UnpairedRow` where a prompt or response has more than text."""

    prompt: tuple[MessageDict, ...]  # type: ignore[assignment]
    completion: tuple[MessageDict, ...]  # type: ignore[assignment]
    tools: tuple[dict[str, Any], ...] | None
    images: tuple[str, ...] = ()


class TrlUnpaired(TaskFormat):
    """Responses that are better, or worse, than all others of their prompt, for KTO and BCO."""

    Options = BinaryOptions
    Row = UnpairedRow
    ConversationRow = UnpairedConversationRow
    title = "Good and bad responses"

    def write_example(self, example: dict[str, Any]) -> dict[str, Any]:
        """Return the row of a response."""
        response = example["response"]
        return {
            "prompt": example["prompt"],
            "completion": response["messages"],
            "label": example["label"],
            "response_id": response["response_id"],
            "model": response["model"],
            "tools": example["tools"],
            "images": list_images(example["prompt"]),
        }
