"""The format `best-of-n`: the best response of each prompt, for fine-tuning on it (RAFT, rejection sampling).

Columns as TRL documents them: docs/source/dataset_formats.md, "prompt-completion" (prompt, completion), at
huggingface/trl f2cd577, and as SFTTrainer of TRL 1.16 reads them.
"""

from __future__ import annotations

from typing import Any, Literal

from curate.core.section import Section
from curate.export.formats.dialogue import list_images
from curate.export.formats.tasks import TaskFormat
from curate.export.rows import ChatMessage, MessageDict
from curate.records import Record


class BestOptions(Section):
    """The one task of the format."""

    task: Literal["sft"] = "sft"


class BestRow(Record):
    """A prompt with its best response. `score` is the response's, as log-odds against an average one."""

    prompt: tuple[ChatMessage, ...]
    completion: tuple[ChatMessage, ...]
    prompt_id: str
    response_id: str
    model: str | None
    score: float
    iteration: int


class BestConversationRow(BestRow):
    """A `BestRow` where a prompt or response has more than text."""

    prompt: tuple[MessageDict, ...]  # type: ignore[assignment]
    completion: tuple[MessageDict, ...]  # type: ignore[assignment]
    tools: tuple[dict[str, Any], ...] | None
    images: tuple[str, ...] = ()


class BestOfN(TaskFormat):
    """Prompts with their best response, for fine-tuning (best of N, RAFT)."""

    Options = BestOptions
    Row = BestRow
    ConversationRow = BestConversationRow
    title = "Best responses"

    def write_example(self, example: dict[str, Any]) -> dict[str, Any]:
        """Return the row of a prompt."""
        response = example["response"]
        return {
            "prompt": example["prompt"],
            "completion": response["messages"],
            "response_id": response["response_id"],
            "model": response["model"],
            "score": response["score"],
            "tools": example["tools"],
            "images": list_images(example["prompt"]),
        }
