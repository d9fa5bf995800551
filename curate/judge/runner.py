"""Asks one judge what is open in one chunk: its answers as rows, not yet committed."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Sequence

from curate.core.errors import CurateError
from curate.judge.base import Answer, Question, abstain
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.judgment_rows import build_judgment_rows
from curate.judge.known_judgments import add_other_judgments
from curate.judge.pending import JudgmentIndex, WorkChunk, find_pending_questions, get_items
from curate.judge.validity import check_answer
from curate.judge.writer import AnsweredChunk
from curate.lake.lake import Lake


class JudgeError(CurateError):
    """A judge, or the engine under it, raised something that is no answer."""


def answer_chunk(
    lake: Lake, panel: Panel, work: WorkChunk, *, run_id: str, known: JudgmentIndex | None = None
) -> AnsweredChunk:
    """What the judge of this chunk says to its open questions, for `commit`. `known`: from `prepare`, if it serves."""
    seat, began = panel.seats[work.judge], time.monotonic()
    of = add_other_judgments(lake, panel, seat, get_items(lake, panel, work.prompt_ids))
    serves = known is not None and known.serves(seat, work.prompt_ids)
    asked, total = find_pending_questions(lake, panel, seat, of, known=known if serves else None)
    asked = [each for each in asked if not (work.fresh and each.failures)]
    answers = run_with_restart(seat, [each.question for each in asked])
    seconds = (time.monotonic() - began) / max(1, len(asked))
    return AnsweredChunk(seat, work, build_judgment_rows(seat, asked, answers, run_id=run_id, seconds=seconds), total)


def run_with_restart(seat: ConfiguredJudge, questions: Sequence[Question]) -> list[Answer]:
    """`ask`; where an engine has died of it, once more with the engine opened anew."""
    try:
        return run_judge(seat, questions)
    except JudgeError as error:
        if not seat.engines:
            raise
        for engine in seat.engines:
            with contextlib.suppress(Exception):  # it is dead already
                engine.close()
        try:
            return run_judge(seat, questions)
        except JudgeError as again:
            names = ", ".join(engine.name for engine in seat.engines)
            raise CurateError(
                f"{again} Opening the engine anew ({names}) did not help. What was judged before is kept: mend it, and "
                "run the same command to go on."
            ) from error


def run_judge(seat: ConfiguredJudge, questions: Sequence[Question]) -> list[Answer]:
    """The judge's answers, one for each question. A judge that breaks is a CurateError that says where.

    Answers that are no judgments come back as failed ones, whoever gave them.
    """
    readable = [at for at, each in enumerate(questions) if each.contest.text_only or seat.judge.sees_images]
    try:
        found = list(seat.judge.answer([questions[at] for at in readable])) if readable else []
    except CurateError:
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise JudgeError(
            f"Judge {seat.name!r} broke with {type(error).__name__} at {frame.filename}:{frame.lineno}: {error}."
        ) from error
    strange = next((answer for answer in found if not isinstance(answer, Answer)), None)
    if strange is not None:
        raise CurateError(
            f"Judge {seat.name!r} gave a {type(strange).__name__} in place of an Answer: `answer` has to return one "
            "curate.judge.Answer for each question."
        )
    if len(found) != len(readable):
        raise CurateError(
            f"Judge {seat.name!r} was asked {len(readable)} questions, and gave {len(found)} answers."
        )
    answers = {at: check_answer(questions[at], answer) for at, answer in zip(readable, found, strict=True)}
    unread = abstain("the judge reads text only, and the prompt or a response holds images or videos")
    return [answers.get(at, unread) for at in range(len(questions))]
