"""Ratings and lists of judges, where the labels bear them out: what formats that are made of them have in common."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from curate.export.formats.base import FILTERS
from curate.export.formats.row_format import RowFormat
from curate.export.rows import ChatMessage
from curate.records import Record


class JudgeRatingRow(Record):
    """A statement of a judge, as TRL's SFTTrainer reads it (conversational, prompt and completion).

    `prompt` is what the judge was told, `completion` what it thought and its verdict. What it says of pairs agrees with
    a label and contradicts none; `confidence` is the lowest of these labels. `responses`: in the order shown.
    """

    prompt: tuple[ChatMessage, ...]
    completion: tuple[ChatMessage, ...]
    prompt_id: str
    judgment_id: str
    annotator_id: str
    responses: tuple[str, ...]
    confidence: float
    iteration: int


class JudgeRatings(RowFormat):
    """A format made of judgments of one `form`; rows as those of `judgments`, with `responses` and `answers`."""

    rows = "judgments"
    Row: ClassVar[type[Record]] = JudgeRatingRow
    checks_rows = False
    form: ClassVar[Literal["pointwise", "listwise"]]

    def __init__(self, name: str, options: Any = None, *, code: str = "") -> None:
        super().__init__(name, options, code=code)
        self.selection, self.query = "export_select_judge_ratings", "export_judge_ratings"
        self.selection_parameters = (*FILTERS, "form")
        self.selection_values = {"form": self.form}

    def write_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the row itself, which has the judge's chat."""
        return row
