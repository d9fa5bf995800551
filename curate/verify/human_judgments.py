"""Judgments from people's answers, whether given in Label Studio, a spreadsheet or the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from curate.data.judgments import JudgmentStatement, make_answer_id
from curate.records import Form, Outcome, Shown


def make_human_statement(
    identity: Sequence[object],
    *,
    prompt_id: str,
    annotator_id: str,
    form: Form,
    responses: Sequence[str],
    shown: Shown | None,
    outcome: Outcome,
    raw: Mapping[str, Any],
    revision: str,
    supersedes: str | None,
    score: float | None = None,
    ranking: tuple[str, ...] | None = None,
    rationale: str | None = None,
    seconds: float = 0.0,
) -> JudgmentStatement:
    """Make the statement of a person's answer.

    Args:
        identity: What identifies the answer: the question, the person and what the answer says. The judgment that it
            supersedes is part of the id too, so that going back to an earlier answer is an answer of its own.
        prompt_id: Id of the prompt.
        annotator_id: Pseudonym of the person.
        form: Form of the question.
        responses: The pair, the one response, or the list in the order shown.
        shown: Order in which the person saw the pair.
        outcome: The verdict.
        raw: What judgments have no column for, at least the key `task`.
        revision: What people are shown.
        supersedes: The person's earlier judgment on the same question.
        score: Rating of one response.
        ranking: The list from best to worst.
        rationale: Reasons that the person gives.
        seconds: Time that the answer took.
    """
    return JudgmentStatement(
        prompt_id=prompt_id,
        annotator_id=annotator_id,
        kind="human",
        revision=revision,
        form=form,
        responses=tuple(responses),
        outcome=outcome,
        shown=shown,
        score=score,
        ranking=ranking,
        rationale=rationale,
        raw=json.dumps(raw, ensure_ascii=False),
        seconds=seconds,
        supersedes=supersedes,
        judgment_id=make_answer_id(identity, supersedes),
    )
