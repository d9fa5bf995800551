"""UltraFeedback: four completions of an instruction, each scored by GPT-4 (arXiv 2310.01377).

`fine-grained_score` (the mean rating of four aspects) is read rather than `overall_score`, since many an
overall score of 1 in the published data was read as 10; where there is none, the overall score stands in. A score
"N/A" is none.
"""

from __future__ import annotations

from curate.config.ingest import Fields
from curate.ingest import mapped
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.paths import find_value
from curate.ingest.rows import Row
from curate.ingest.shapes.base import Shape

FIELDS = Fields(
    prompt="instruction",
    responses="completions",
    response_text="response",
    response_model="model",
    response_score="fine-grained_score",
    aspects={
        name: f"annotations.{name}.Rating"
        for name in ("helpfulness", "honesty", "instruction_following", "truthfulness")
    },
    meta=["source"],
    ignore=["models", "correct_answers", "incorrect_answers"],
)

_NONE = "N/A"


class UltraFeedback(Shape):
    """An instruction with scored completions."""

    fields = FIELDS
    columns = (frozenset({"instruction", "completions"}),)
    kind = "llm"
    description = (
        "UltraFeedback, four completions of an instruction with scores by GPT-4; four ratings are aspects"
    )

    def read_row(self, row: ForeignRow, reading: SourceSettings) -> Row:
        """Read a row."""
        score = reading.fields.response_score
        name = reading.fields.responses if isinstance(reading.fields.responses, str) else "completions"
        completions = row.get(name)
        if isinstance(score, str) and isinstance(completions, list):
            row = {**row, name: [_with_score(completion, score) for completion in completions]}
        return mapped.read_list(row, reading)


def _with_score(completion: object, path: str) -> object:
    if not isinstance(completion, dict) or find_value(completion, path) not in (None, _NONE):
        return completion
    stand_in = completion.get("overall_score") if path == FIELDS.response_score else None
    return {**completion, path: None if stand_in == _NONE else stand_in}
