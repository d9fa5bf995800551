"""The format `critique`: what a judge wrote about a response, to train a model that criticises answers.

Critique fine-tuning (Wang et al. 2025, arXiv 2501.17703): a question with an answer comes in, the critique comes out.
Columns as docs/source/dataset_formats.md ("prompt-completion", conversational) has them at huggingface/trl f2cd577.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from curate.core.section import Section
from curate.data.conversation import build_dicts, load_messages
from curate.data.preference_rows import Unusable
from curate.export.formats.dialogue import refuse_tools, write_turns
from curate.export.formats.judge_ratings import JudgeRatings
from curate.export.formats.judge_sft_pointwise import JudgeSftPointwiseRow


class CritiqueOptions(Section):
    """Words of the question to the model."""

    instruction: str = Field(
        "What is good and what is wrong about this answer?",
        description="The user's last turn, after the answer.",
    )


class Critique(JudgeRatings):
    """A conversation with the answer and a request for a critique, and what a judge thought of the answer."""

    form = "pointwise"
    Options = CritiqueOptions
    Row = JudgeSftPointwiseRow
    title = "Critiques of answers"

    def write_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the row of a rating with a reason.

        Raises:
            Unusable: The judge gave no reason, or the conversation is more than turns of text.
        """
        if not row["rationale"]:
            raise Unusable("without a rationale")
        refuse_tools(row)
        (answer,) = row["answers"]
        turns = write_turns(build_dicts(load_messages([*row["messages"], *answer["messages"]])))
        return row | {
            "prompt": [*turns, {"role": "user", "content": self.options.instruction}],
            "completion": [{"role": "assistant", "content": row["rationale"]}],
        }
