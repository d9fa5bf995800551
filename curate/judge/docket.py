"""The docket: what each judge still has to be asked, found by the ids of its judgments in the lake."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curate.identity import content_id
from curate.judge.base import Candidate, Contest, Question
from curate.judge.panel import Seat
from curate.lake import Lake
from curate.records import Message, Part, plain
from curate.resources import sql


@dataclass(frozen=True, slots=True)
class Open:
    """A question without an answer, its id, and how often it has failed so far."""

    question: Question
    judgment_id: str
    failures: int


def contests(lake: Lake, prompt_ids: Sequence[str]) -> list[Contest]:
    """The prompts with all that judges may read, in the order of their ids."""
    with lake.bind("wanted", _wanted(prompt_ids)):
        rows = lake.rows(sql("judge_contests"))
    return [_contest(*row) for row in rows]


def bare_contests(lake: Lake) -> list[Contest]:
    """All prompts that have pairs, with ids only: enough to know what there is to ask."""
    return [
        Contest(prompt_id, (), None, tuple(Candidate(each, "") for each in ids))
        for prompt_id, ids in lake.rows(sql("judge_candidates"))
    ]


def open_questions(lake: Lake, seat: Seat, of: Sequence[Contest]) -> tuple[list[Open], int]:
    """What is still open of the questions that a judge has about these contests, and how many it has in all.

    A question that has failed `attempts` times is not open any more.
    """
    with lake.bind("wanted", _wanted([contest.prompt_id for contest in of])):
        rows = lake.rows(sql("judge_known"), (seat.name, seat.revision))
    answered = {identity for identity, failed in rows if not failed}
    failures = {identity for identity, failed in rows if failed}
    found, total = [], 0
    for contest in of:
        for question in seat.judge.questions(contest):
            total += 1
            identity = question.judgment_id(annotator=seat.name, revision=seat.revision)
            if identity not in answered:
                tried = _tried(identity, failures, seat.attempts) if failures else 0
                if tried < seat.attempts:
                    found.append(Open(question, identity, tried))
    return found, total


def failure_id(judgment_id: str, attempt: int) -> str:
    """The id of a failed attempt (from 0), which leaves the question's own id free for its answer."""
    return content_id(judgment_id, "failed", attempt)


def _tried(judgment_id: str, failures: set[str], attempts: int) -> int:
    """How many attempts are used up: a failure that is permanent is filed as the last one."""
    return max((at + 1 for at in range(attempts) if failure_id(judgment_id, at) in failures), default=0)


def _wanted(prompt_ids: Sequence[str]) -> pa.Table:
    return pa.table({"prompt_id": pa.array(prompt_ids, pa.string())})


def _contest(
    prompt_id: str,
    messages: list[dict[str, Any]],
    reference: str | None,
    ids: list[str],
    contents: list[list[dict[str, Any]]],
    meta: str | None,
) -> Contest:
    turns = tuple(Message.model_validate(message) for message in messages)
    answers = [tuple(Part.model_validate(part) for part in content) for content in contents]
    parts = itertools.chain(*(turn.content for turn in turns), *answers)
    candidates = tuple(
        Candidate(identity, plain(answer)) for identity, answer in zip(ids, answers, strict=True)
    )
    text_only = all(part.type == "text" for part in parts)
    return Contest(prompt_id, turns, reference, candidates, text_only, meta)
