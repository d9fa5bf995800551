"""Ask one judge the pending questions of one chunk; the answers become rows that are not committed yet."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Sequence

import pyarrow as pa

from curate.core.errors import CurateError
from curate.judge.base import Answer, Question, abstain
from curate.judge.call_trace import trace_call
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.judgment_rows import (
    build_aspect_rows,
    build_judgment_rows,
    build_rubric_rows,
    build_verdict_rows,
)
from curate.judge.pending import PendingQuestion
from curate.judge.plan import WorkChunk
from curate.judge.reader import ChunkReader
from curate.judge.validity import check_answer
from curate.judge.writer import AnsweredChunk
from curate.lake.lake import Lake


class JudgeError(CurateError):
    """An error inside a judge, or inside its engine."""


def answer_chunk(
    lake: Lake, panel: Panel, work: WorkChunk, *, run_id: str, reader: ChunkReader | None = None
) -> AnsweredChunk:
    """Ask the judge of a chunk its questions, but for those that were answered since they were planned.

    Args:
        lake: Lake with prompts and judgments.
        panel: Panel that holds the judge.
        work: The chunk.
        run_id: Id of the run in the rows.
        reader: Reader of the plan that the chunk belongs to; None: the chunk is read alone.

    Returns:
        Rows for `commit_chunks`.

    Raises:
        CurateError: The judge or its engine does not work.
    """
    configured = panel.judges[work.judge]
    pending = (reader or ChunkReader(lake, panel, [work])).read_questions(work)
    with trace_call(panel, configured) as call:
        rows, others = answer_questions(configured, pending, run_id=run_id)
        call.record(rows)
    return AnsweredChunk(configured, work, rows, others)


def answer_questions(
    configured: ConfiguredJudge, pending: Sequence[PendingQuestion], *, run_id: str
) -> tuple[pa.Table, dict[str, pa.Table]]:
    """Ask a judge some questions.

    Args:
        configured: The judge.
        pending: The questions.
        run_id: Id of the run in the rows.

    Returns:
        Rows of `judgments`, and of other tables by their names.

    Raises:
        CurateError: The judge or its engine does not work.
    """
    began = time.monotonic()
    answers = run_with_restart(configured, [question.question for question in pending])
    seconds = (time.monotonic() - began) / max(1, len(pending))
    rows = build_judgment_rows(configured, pending, answers, run_id=run_id, seconds=seconds)
    others = {}
    if any(answer.verdicts for answer in answers):
        others["criterion_verdicts"] = build_verdict_rows(
            configured, pending, answers, run_id=run_id, seconds=seconds
        )
    if any(answer.aspects for answer in answers):
        others["judgments"] = build_aspect_rows(configured, pending, answers, run_id=run_id)
    if any(answer.rubric is not None for answer in answers):
        others["rubrics"] = build_rubric_rows(configured, answers, run_id=run_id)
    return rows, others


def run_with_restart(configured: ConfiguredJudge, questions: Sequence[Question]) -> list[Answer]:
    """Run a judge; if an engine dies of the questions, open it anew and ask once more."""
    try:
        return run_judge(configured, questions)
    except JudgeError as error:
        if not configured.engines:
            raise
        for engine in configured.engines:
            with contextlib.suppress(Exception):  # it is dead already
                engine.close()
        try:
            return run_judge(configured, questions)
        except JudgeError as again:
            names = ", ".join(engine.name for engine in configured.engines)
            raise CurateError(
                f"{again} Opening the engine anew ({names}) did not help. What was judged before is kept: mend it, and "
                "run the same command to go on."
            ) from error


def run_judge(configured: ConfiguredJudge, questions: Sequence[Question]) -> list[Answer]:
    """Return the judge's answers, one for each question.

    An answer that is no valid judgment is returned as a failed one.

    Raises:
        JudgeError: The judge's code raised an exception; the message says where.
        CurateError: The judge returned something other than one answer for each question.
    """
    judge = configured.judge
    readable = [
        number for number, question in enumerate(questions) if question.item.text_only or judge.sees_images
    ]
    try:
        given = list(judge.answer([questions[number] for number in readable])) if readable else []
    except CurateError:
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise JudgeError(
            f"Judge {configured.name!r} broke with {type(error).__name__} at {frame.filename}:{frame.lineno}: {error}."
        ) from error
    strange = next((answer for answer in given if not isinstance(answer, Answer)), None)
    if strange is not None:
        raise CurateError(
            f"Judge {configured.name!r} gave a {type(strange).__name__} in place of an Answer: `answer` has to return "
            "one curate.judge.Answer for each question."
        )
    if len(given) != len(readable):
        raise CurateError(
            f"Judge {configured.name!r} was asked {len(readable)} questions, and gave {len(given)} answers."
        )
    answers = {
        number: check_answer(questions[number], answer)
        for number, answer in zip(readable, given, strict=True)
    }
    unread = abstain("the judge reads text only, and the prompt or a response holds images or videos")
    return [answers.get(number, unread) for number in range(len(questions))]
