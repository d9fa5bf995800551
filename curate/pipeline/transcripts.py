"""Prompts and answers of judges as chats, to train a judge on.

A judgment holds the verdict and the rationale. The judge builds the prompt again, which is possible as long as its
configuration, and so its revision, is the one that judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import polars as pl

from curate.config.project import Config
from curate.data.conversation import load_messages
from curate.judge.base import CandidateResponse, PromptItem, Question
from curate.judge.configured import Panel
from curate.judge.language import Preamble
from curate.judge.pairwise import Pairwise
from curate.records import plain_text

Turn = dict[str, str]


class Transcripts:
    """The judges of the panel whose prompts can be built again: judges of pairs that write nothing beforehand.

    A judge that first writes criteria or a reference answer does not store them, so its prompts cannot be built again.
    """

    def __init__(self, config: Config) -> None:
        self._panel = Panel(config)
        self._judges = {
            judge.name: (judge.judge, judge.revision)
            for judge in self._panel.judges.values()
            if isinstance(judge.judge, Pairwise)
            and not judge.judge.options.criteria
            and judge.judge.options.reference != "write"
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._panel.close()

    @property
    def judges(self) -> pl.DataFrame:
        """Table of the judges: annotator_id, revision."""
        rows = [(name, revision) for name, (_, revision) in sorted(self._judges.items())]
        return pl.DataFrame(rows, {"annotator_id": pl.String, "revision": pl.String}, orient="row")

    def chat(self, row: Mapping[str, Any]) -> tuple[list[Turn], list[Turn]]:
        """Build (prompt, completion) of a row of `export_judge_sft.sql`."""
        judge, _ = self._judges[row["annotator_id"]]
        a, b = (
            CandidateResponse.from_messages(row[side], load_messages(row[answer]))
            for side, answer in (("response_a", "messages_a"), ("response_b", "messages_b"))
        )
        prompt_item = PromptItem(
            row["prompt_id"],
            load_messages(row["messages"]),
            row["reference"],
            (a, b),
            meta=row["meta"],
            tools=row["tools"],
        )
        question = Question(prompt_item, (a, b), shown=row["shown"], sample=row["sample"])
        judge_prompt = judge.build_prompt(
            question, Preamble(), judge.find_examples([prompt_item]).get(prompt_item.prompt_id, ())
        )
        prompt = [{"role": turn.role, "content": plain_text(turn.content)} for turn in judge_prompt.messages]
        verdict = {("a", "ab"): "A", ("b", "ba"): "A"}.get((row["outcome"], row["shown"]), "B")
        completion = f"{judge_prompt.prefill}{row['rationale']}\n\n{judge.template.verdict} {verdict}"
        if (
            delimiter := judge_prompt.delimiter
        ) is not None:  # the workspace's own word is not for publication
            prompt = [{**turn, "content": delimiter.publish(turn["content"])} for turn in prompt]
            completion = delimiter.publish(completion)
        return prompt, [{"role": "assistant", "content": completion}]
