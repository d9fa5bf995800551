"""The format `reward-bench-2`: a benchmark of best of N from the lake, of questions on which the panel is sure.

Columns as rewardbench/utils.py (`load_bon_dataset_v2`) reads them, at allenai/reward-bench 05a9005: the prompt as text,
lists `chosen` (one response) and `rejected`, counts, `subset`. A question is taken where one response is the best and
wins against every other with at least `min_confidence` (or people said so); of the others, those that come closest to
it are kept, since they make the question hard.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from curate.core.section import Section
from curate.data.preference_rows import Unusable
from curate.export.formats.base import PLAIN, ExportTable, Layout, Transcriber
from curate.export.formats.dialogue import get_only_turn, refuse_images, refuse_tools, write_turns
from curate.export.formats.row_format import RowFormat
from curate.export.formats.tasks import Dict
from curate.records import Record


class BenchmarkOptions(Section):
    """Number of responses of a question."""

    responses: int = Field(4, ge=2, description="Responses of a question: the best and the next best ones.")
    exact: bool = Field(False, description="Leave out prompts that have fewer responses.")


class RewardBench2Row(Record):
    """A question: `chosen` has the best response, `rejected` the others, `models` who wrote them in that order."""

    id: str
    prompt: str
    chosen: tuple[str, ...]
    rejected: tuple[str, ...]
    num_correct: int
    num_incorrect: int
    total_completions: int
    models: tuple[str | None, ...]
    subset: str
    prompt_id: str


class RewardBench2(RowFormat):
    """Questions with one best response among N, for evaluating reward models and judges."""

    rows = "rankings"
    Options = BenchmarkOptions
    Row = RewardBench2Row
    checks_rows = False
    title = "Best of N: a benchmark"

    def __init__(self, name: str, options: object = None, *, code: str = "") -> None:
        super().__init__(name, options, code=code)
        self.selection = "export_select_consensus"

    def list_tables(
        self, transcripts: Transcriber | None = None, *, layout: Layout = PLAIN
    ) -> tuple[ExportTable, ...]:
        """Return the one table, under the name of the split that is loaded."""
        return tuple(replace(table, name="test") for table in super().list_tables(transcripts, layout=layout))

    def write_row(self, row: Dict) -> Dict:
        """Return the row of a question."""
        refuse_tools(row)
        responses = sorted(row["responses"], key=lambda one: (one["rank"], -one["score"], one["response_id"]))
        if self.options.exact and len(responses) < self.options.responses:
            raise Unusable(f"fewer than {self.options.responses} responses")
        responses = responses[: self.options.responses]
        refuse_images(row["prompt"], *(response["messages"] for response in responses))
        turns = write_turns(row["prompt"])
        if [turn["role"] for turn in turns] != ["user"]:
            raise Unusable("a prompt of more than one user turn, of which this consumer reads one")
        best, *others = [
            get_only_turn(write_turns(response["messages"]))["content"] for response in responses
        ]
        if best in others:
            raise Unusable("another response has the same text as the best")
        return {
            "id": row["prompt_id"],
            "prompt": turns[0]["content"],
            "chosen": [best],
            "rejected": others,
            "num_correct": 1,
            "num_incorrect": len(others),
            "total_completions": len(responses),
            "models": [response["model"] for response in responses],
            "subset": row["source"],
            "prompt_id": row["prompt_id"],
        }
