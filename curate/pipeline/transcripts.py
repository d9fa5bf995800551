"""What judges were told and what they said, as chats: to train a judge on.

A judgment holds the verdict and what the judge thought; the prompt is made again by the judge itself, which it can do
as long as its configuration is the one that judged (its revision says so).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import polars as pl

from curate.config.project import Config
from curate.judge.base import CandidateResponse, PromptItem, Question
from curate.judge.configured import Panel
from curate.judge.language import Preamble
from curate.judge.pairwise import Pairwise
from curate.records import Message, Part, plain_text

Turn = dict[str, str]


class Transcripts:
    """The judges of the panel whose prompts can be made again: those that compare pairs and write nothing before them.

    (A judge that writes criteria or an answer of its own first keeps them among its thoughts only.)
    """

    def __init__(self, config: Config) -> None:
        self._panel = Panel(config)
        self._judges = {
            seat.name: (seat.judge, seat.revision)
            for seat in self._panel.judges.values()
            if isinstance(seat.judge, Pairwise)
            and not seat.judge.options.criteria
            and seat.judge.options.reference != "write"
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._panel.close()

    @property
    def judges(self) -> pl.DataFrame:
        """annotator_id, revision."""
        rows = [(name, revision) for name, (_, revision) in sorted(self._judges.items())]
        return pl.DataFrame(rows, {"annotator_id": pl.String, "revision": pl.String}, orient="row")

    def chat(self, row: Mapping[str, Any]) -> tuple[list[Turn], list[Turn]]:
        """(prompt, completion) of a row of `export_judge_sft.sql`."""
        judge, _ = self._judges[row["annotator_id"]]
        a, b = (
            CandidateResponse(row[side], plain_text(Part.model_validate(part) for part in row[content]))
            for side, content in (("response_a", "content_a"), ("response_b", "content_b"))
        )
        messages = tuple(Message.model_validate(each) for each in row["messages"])
        contest = PromptItem(row["prompt_id"], messages, row["reference"], (a, b), meta=row["meta"])
        question = Question(contest, (a, b), shown=row["shown"], sample=row["sample"])
        brief = judge.build_prompt(
            question, Preamble(), judge.find_examples([contest]).get(contest.prompt_id, ())
        )
        prompt = [{"role": turn.role, "content": plain_text(turn.content)} for turn in brief.messages]
        verdict = {("a", "ab"): "A", ("b", "ba"): "A"}.get((row["outcome"], row["shown"]), "B")
        said = f"{brief.prefill}{row['rationale']}\n\n{judge.template.verdict} {verdict}"
        return prompt, [{"role": "assistant", "content": said}]
