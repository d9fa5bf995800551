"""Judgments from people's answers, whether given in Label Studio, a spreadsheet or the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from curate.core.identity import content_id
from curate.records import Form, Judgment, Outcome, Shown


def build_human_judgment(
    statement: Sequence[object],
    *,
    prompt_id: str,
    annotator_id: str,
    form: Form,
    responses: tuple[str | None, str | None],
    shown: Shown | None,
    outcome: Outcome,
    raw: Mapping[str, Any],
    revision: str,
    run_id: str,
    supersedes: str | None,
    score: float | None = None,
    ranking: tuple[str, ...] | None = None,
    listed: tuple[str, ...] | None = None,
    rationale: str | None = None,
    seconds: float = 0.0,
) -> Judgment:
    """Build the judgment of a person's answer.

    Args:
        statement: What identifies the answer: the question, the person and what the answer says. The judgment that it
            supersedes is part of the id too, so that going back to an earlier answer is an answer of its own.
        responses: `response_a` and `response_b`; (None, None) for a ranking, (id, None) for a single response.
        raw: What judgments have no column for, at least the key `task`.
        supersedes: The person's earlier judgment on the same question.

    The other arguments are columns of `judgments`.
    """
    return Judgment(
        judgment_id=content_id(*statement, supersedes),
        prompt_id=prompt_id,
        annotator_id=annotator_id,
        kind="human",
        form=form,
        response_a=responses[0],
        response_b=responses[1],
        shown=shown,
        outcome=outcome,
        score=score,
        ranking=ranking,
        listed=listed,
        rationale=rationale,
        raw=json.dumps(raw, ensure_ascii=False),
        revision=revision,
        seconds=seconds,
        run_id=run_id,
        supersedes=supersedes,
    )
