"""The format `nemo-rl`: a context and two ranked completions.

As docs/guides/rm.md, nemo_rl/data/datasets/preference_datasets/preference_dataset.py (`PreferenceDataset`) and
nemo_rl/data/processors.py (`preference_preprocessor`) read it, at NVIDIA-NeMo/RL 7ea279a: exactly two completions, the
lower rank is the better one, no ties. It hands messages to the chat template without tools, and reads no margin.
"""

from __future__ import annotations

from curate.export.formats.dialogue import refuse_images, refuse_tools, write_turns
from curate.export.formats.row_format import RowFormat
from curate.export.formats.tasks import Dict
from curate.export.rows import ChatMessage
from curate.records import Record


class NemoCompletion(Record):
    """A completion with its rank."""

    rank: int
    completion: tuple[ChatMessage, ...]


class NemoRlRow(Record):
    """A prompt with its better completion (rank 0) and its worse one (rank 1)."""

    context: tuple[ChatMessage, ...]
    completions: tuple[NemoCompletion, ...]
    prompt_id: str
    confidence: float
    iteration: int


class NemoRl(RowFormat):
    """Pairs for NeMo RL: reward models and DPO."""

    rows = "pairs"
    Row = NemoRlRow
    checks_rows = False
    title = "Preference pairs for NeMo RL"

    def write_row(self, row: Dict) -> Dict:
        """Return the row of a pair."""
        answers = [row[side]["messages"] for side in ("chosen", "rejected")]
        refuse_tools(row)
        refuse_images(row["prompt"], *answers)
        completions = [
            {"rank": rank, "completion": write_turns(messages)} for rank, messages in enumerate(answers)
        ]
        return row | {"context": write_turns(row["prompt"]), "completions": completions}
