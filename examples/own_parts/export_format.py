"""An export format of one's own: a prompt with a good and a bad answer. Named in curate.yaml, beside this file:

    export: [{path: margins, format: {kind: "./export_format.py:Margins", least: 0.5}}]

or on the command line: curate export FOLDER -f ./export_format.py:Margins
"""

from typing import Any

from pydantic import Field

from curate.core.section import Section
from curate.data.preference_rows import Unusable
from curate.export.formats import RowFormat
from curate.records import Record


class MarginRow(Record):
    prompt: str
    good: str
    bad: str
    margin: float


class Margins(RowFormat):
    """Prompts with a good and a bad answer, and how much the scores of the answers differ."""

    class Options(Section):
        least: float = Field(0.0, ge=0, description="Leave out pairs whose scores differ by less.")

    rows = "pairs"  # or "rankings": a row per prompt; "judgments": a row per verdict
    Row = MarginRow

    def write_row(self, row: dict[str, Any]) -> dict[str, Any]:
        chosen, rejected = row["chosen"], row["rejected"]
        margin = chosen["score"] - rejected["score"]
        if margin < self.options.least:
            raise Unusable("scores too close")  # the pair is left out, and counted with this reason
        prompt = row["prompt"][-1]["content"]
        return {"prompt": prompt, "good": chosen["text"], "bad": rejected["text"], "margin": margin}
