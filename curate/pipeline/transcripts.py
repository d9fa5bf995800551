"""Prompts and answers of judges as chats, to train a judge on.

A judgment holds the verdict and the rationale. The judge builds the prompt again, which is possible as long as its
configuration, and so its revision, is the one that judged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeGuard

import polars as pl

from curate.config.project import Config
from curate.data.conversation import load_messages
from curate.judge.base import CandidateResponse, Judge, PromptItem, Question
from curate.judge.configured import Panel
from curate.judge.language import JudgePrompt, LanguageJudge, Preamble, space_choices
from curate.judge.listwise import Listwise
from curate.judge.pairwise import Pairwise
from curate.judge.pointwise import Pointwise
from curate.records import plain_text

Turn = dict[str, str]


class Transcripts:
    """The judges of the panel whose prompts can be built again: those that write nothing beforehand.

    A judge that first writes criteria or a reference answer does not store them, so its prompts cannot be built again.
    """

    def __init__(self, config: Config) -> None:
        self._panel = Panel(config)
        self._judges = {
            judge.name: (judge.judge, judge.revision)
            for judge in self._panel.judges.values()
            if _can_repeat(judge.judge)
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
        """Build (prompt, completion) of a row of `export_judge_sft.sql` or `export_judge_ratings.sql`."""
        judge, _ = self._judges[row["annotator_id"]]
        question = _build_question(row)
        judge_prompt = judge.build_prompt(
            question, Preamble(), judge.find_examples([question.item]).get(question.item.prompt_id, ())
        )
        prompt = [{"role": turn.role, "content": plain_text(turn.content)} for turn in judge_prompt.messages]
        completion = judge_prompt.prefill + _write_answer(judge, judge_prompt, row)
        if (
            delimiter := judge_prompt.delimiter
        ) is not None:  # the workspace's own word is not for publication
            prompt = [{**turn, "content": delimiter.publish(turn["content"])} for turn in prompt]
            completion = delimiter.publish(completion)
        return prompt, [{"role": "assistant", "content": completion}]


def _can_repeat(judge: Judge) -> TypeGuard[LanguageJudge]:
    if not isinstance(judge, (Pairwise, Pointwise, Listwise)):
        return False
    if (
        isinstance(judge, Pointwise) and judge.options.aspects
    ):  # several ratings, of which the row has the mean
        return False
    return not judge.options.criteria and judge.options.reference != "write"


def _build_question(row: Mapping[str, Any]) -> Question:
    answers = row.get("answers") or [
        {"response_id": row[side], "messages": row[messages]}
        for side, messages in (("response_a", "messages_a"), ("response_b", "messages_b"))
    ]
    asked = tuple(
        CandidateResponse.from_messages(answer["response_id"], load_messages(answer["messages"]))
        for answer in answers
    )
    item = PromptItem(
        row["prompt_id"],
        load_messages(row["messages"]),
        row["reference"],
        tuple(sorted(asked, key=lambda candidate: candidate.response_id)),
        meta=row["meta"],
        tools=row["tools"],
    )
    form = row.get("form", "pairwise")
    return Question(item, asked, form=form, shown=row.get("shown"), sample=row["sample"])


def _write_answer(judge: LanguageJudge, prompt: JudgePrompt, row: Mapping[str, Any]) -> str:
    """Return what the judge wrote after the beginning of its answer."""
    if isinstance(judge, Listwise):
        return str(row["raw"])
    if isinstance(judge, Pointwise):
        shares = json.loads(row["raw"])
        verdict = max(shares, key=lambda rating: shares[rating])
    else:
        verdict = {("a", "ab"): "A", ("b", "ba"): "A"}.get((row["outcome"], row["shown"]), "B")
    if isinstance(judge, Pointwise) and not judge.options.reasoning:
        return space_choices(prompt.prefill, [verdict])[0]
    return f"{row['rationale'] or ''}\n\n{judge.template.verdict} {verdict}"
