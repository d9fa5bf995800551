"""The format `reward-bench`: whole conversations of which one is better.

As rewardbench/utils.py (`load_and_process_dataset`) reads it, at allenai/reward-bench 05a9005 and in rewardbench 0.1.4:
`chosen` and `rejected` hold all turns, the prompt among them, and there is no other column for it. It takes turns by
their place for the user's and the assistant's, so a conversation with other roles is left out.
"""

from __future__ import annotations

from curate.data.preference_rows import Unusable
from curate.export.formats.dialogue import get_only_turn, refuse_images, refuse_tools, write_turns
from curate.export.formats.row_format import RowFormat
from curate.export.formats.tasks import Dict
from curate.export.rows import ChatMessage
from curate.records import Record


class RewardBenchRow(Record):
    """A pair as two whole conversations; `subset` is the prompt's source."""

    chosen: tuple[ChatMessage, ...]
    rejected: tuple[ChatMessage, ...]
    chosen_model: str | None
    rejected_model: str | None
    subset: str
    id: str
    prompt_id: str
    confidence: float


class RewardBench(RowFormat):
    """Pairs for reward-bench, to evaluate reward models on."""

    rows = "pairs"
    Row = RewardBenchRow
    checks_rows = False
    title = "Preference pairs for reward-bench"

    def write_row(self, row: Dict) -> Dict:
        """Return the row of a pair."""
        refuse_tools(row)
        refuse_images(row["prompt"], *(row[side]["messages"] for side in ("chosen", "rejected")))
        prompt = write_turns(row["prompt"])
        check_alternation(prompt)
        whole = {
            side: [*prompt, get_only_turn(write_turns(row[side]["messages"]))]
            for side in ("chosen", "rejected")
        }
        return (
            row
            | whole
            | {
                "chosen_model": row["chosen"]["model"],
                "rejected_model": row["rejected"]["model"],
                "subset": row["source"],
                "id": f"{row['chosen']['response_id']}-{row['rejected']['response_id']}",
            }
        )


def check_alternation(prompt: list[Dict]) -> None:
    """Raise where the turns of a prompt are not the user's and the assistant's in turn."""
    if len(prompt) % 2 == 0 or any(
        turn["role"] != ("user", "assistant")[place % 2] for place, turn in enumerate(prompt)
    ):
        raise Unusable("other turns than the user's and the assistant's in turn")
