"""The format `criterion-verdicts`: whether a response meets a criterion, one row each, to train a verifier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from curate.data.preference_rows import Unusable
from curate.export.formats.dialogue import refuse_images, refuse_tools, write_turns
from curate.export.formats.row_format import RowFormat
from curate.export.formats.tasks import Dict
from curate.export.rows import ChatMessage
from curate.records import Record


class CriterionVerdictRow(Record):
    """A verdict. `p_satisfied`: its probability, where the judge gave one; `value`: what was measured, of a feature."""

    prompt: tuple[ChatMessage, ...]
    response: str
    criterion: str
    verdict: bool
    p_satisfied: float | None
    value: float | None
    reason: str | None
    name: str
    kind: str
    annotator_id: str
    prompt_id: str
    response_id: str
    criterion_id: str


class CriterionVerdicts(RowFormat):
    """Responses with verdicts on single criteria."""

    rows = "prompts"
    Row = CriterionVerdictRow
    checks_rows = False
    title = "Verdicts on criteria"
    reads_tables: ClassVar[Mapping[str, str]] = {
        "criterion_verdicts": "row(verdict_id, outcome)",
        "rubrics": "row(revision, name)",
    }

    def __init__(self, name: str, options: Any = None, *, code: str = "") -> None:
        super().__init__(name, options, code=code)
        self.unit, self.selection = "responses", "export_select_criterion_verdicts"
        self.query = "export_criterion_verdicts"

    def write_rows(self, rows: Iterator[Dict]) -> Iterator[Dict]:
        """Yield a row for each verdict on a response."""
        for row in rows:
            try:
                refuse_images(row["prompt"])
                refuse_tools(row)
                prompt = write_turns(row["prompt"])
            except Unusable as reason:
                self._dropped[str(reason)] += 1
                continue
            for verdict in row["verdicts"]:
                if verdict["text"] is None:
                    self._losses["verdicts on criteria of no known rubric"] += 1
                    continue
                yield {
                    "prompt": prompt,
                    "response": row["response"],
                    "criterion": verdict["text"],
                    "verdict": verdict["outcome"] == "satisfied",
                    "p_satisfied": verdict["p_satisfied"],
                    "value": verdict["value"],
                    "reason": verdict["rationale"],
                    "name": verdict["criterion"],
                    "kind": verdict["kind"],
                    "annotator_id": verdict["annotator_id"],
                    "prompt_id": row["prompt_id"],
                    "response_id": row["response_id"],
                    "criterion_id": verdict["criterion_id"],
                }
