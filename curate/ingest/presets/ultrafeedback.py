"""UltraFeedback: four completions of an instruction, each scored by GPT-4 (arXiv 2310.01377).

`fine-grained_score` (the mean rating of four aspects) is read rather than `overall_score`, since many an
overall score of 1 in the published data was read as 10; where there is none, the overall score stands in.
"""

from __future__ import annotations

from curate.config import Fields
from curate.ingest import mapped
from curate.ingest.foreign import Foreign, Reading
from curate.ingest.rows import Row

FIELDS = Fields(
    prompt="instruction",
    responses="completions",
    response_text="response",
    response_model="model",
    response_score="fine-grained_score",
)


def read(row: Foreign, reading: Reading) -> Row:
    name, score = reading.fields.responses or "completions", reading.fields.response_score
    completions = row.get(name)
    if score == FIELDS.response_score and isinstance(completions, list):
        completed = [
            {**each, score: each["overall_score"]}
            if isinstance(each, dict) and each.get(score) is None and each.get("overall_score") is not None
            else each
            for each in completions
        ]
        row = {**row, name: completed}
    return mapped.read_list(row, reading)
