"""The judge stage: finds the open questions, asks them chunk by chunk, and commits each chunk's judgments.

A chunk is a fixed set of prompts and one judge. All of it is asked and then committed in one transaction, so a process
that is killed loses the chunk in flight and the next one asks it again, in the same batches.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from curate.config import Config
from curate.errors import CurateError
from curate.identity import content_id
from curate.judge.base import Answer, abstain
from curate.judge.docket import Open, bare_contests, contests, failure_id, open_questions
from curate.judge.opinions import with_opinions
from curate.judge.panel import Panel, Seat
from curate.lake import Lake
from curate.progress import Track, silent
from curate.records import Judgment, arrow_schema
from curate.runs import Counts, StageRun, Summary, newest

_SLAB = 256  # chunks whose open questions are looked up together


@dataclass(frozen=True, slots=True)
class Work:
    """One open chunk of one judge: what a worker process needs to be told. `open`: its open questions."""

    judge: str
    chunk: int
    prompt_ids: tuple[str, ...]
    open: int


class AskChunk(Protocol):
    """The shape of `judge_chunk`."""

    def __call__(self, lake: Lake, panel: Panel, work: Work, /, *, run: StageRun) -> Counts: ...


def judge(
    lake: Lake,
    config: Config,
    *,
    only: Collection[str] | None = None,
    track: Track = silent,
    ask_chunk: AskChunk | None = None,
) -> Summary:
    """Ask the panel everything that it has not been asked yet. `only`: names of judges.

    `ask_chunk`: called in place of `judge_chunk`, so that an orchestrator can make a task of each chunk.
    """
    ask_chunk = ask_chunk or judge_chunk
    with Panel(config, only=only) as panel:
        run = StageRun(lake, "judge", config_hash=config.judge.digest)
        work = plan(lake, panel)
        for name in panel.seats:
            mine = [each for each in work if each.judge == name]
            with track(f"judge {name}", sum(each.open for each in mine)) as advance:
                for each in mine:
                    ask_chunk(lake, panel, each, run=run)
                    advance(each.open)
        closed = finish(lake, panel, run=run)
    return run.summary(skipped=not work and not closed)


def plan(lake: Lake, panel: Panel) -> list[Work]:
    """The chunks that hold open questions, judge by judge."""
    pending = [seat for seat in panel.seats.values() if not _is_closed(lake, seat)]
    everything = bare_contests(lake) if pending else []
    size, work = panel.config.judge.chunk, []
    for seat in pending:
        for start in range(0, len(everything), size * _SLAB):
            slab = everything[start : start + size * _SLAB]
            found, _ = open_questions(lake, seat, slab)
            counts: dict[str, int] = {}
            for each in found:
                counts[each.question.contest.prompt_id] = counts.get(each.question.contest.prompt_id, 0) + 1
            for at in range(0, len(slab), size):
                prompt_ids = tuple(contest.prompt_id for contest in slab[at : at + size])
                if opened := sum(counts.get(prompt_id, 0) for prompt_id in prompt_ids):
                    work.append(Work(seat.name, (start + at) // size, prompt_ids, opened))
    return work


def judge_chunk(lake: Lake, panel: Panel, work: Work, *, run: StageRun) -> Counts:
    """Ask one judge what is open in one chunk, and commit what it says.

    Counts: in = all questions of the chunk, kept = answered now, duplicate = answered before (or meanwhile by another
    process, or given up), dropped = failed now, by reason.
    """
    seat, began = panel.seats[work.judge], time.monotonic()
    of = with_opinions(lake, panel, seat, contests(lake, work.prompt_ids))
    asked, total = open_questions(lake, seat, of)
    answers = ask(seat, asked)
    seconds = (time.monotonic() - began) / max(1, len(asked))
    rows: dict[bool, list[dict[str, object]]] = {True: [], False: []}
    for each, answer in zip(asked, answers, strict=True):
        row = _judgment(seat, each, answer, run_id=run.run_id, seconds=seconds)
        rows[answer.outcome == "failed"].append(row.model_dump())
    answered, failed = (
        pa.Table.from_pylist(rows[flag], schema=arrow_schema(Judgment)) for flag in (False, True)
    )
    fingerprint = content_id(seat.revision, list(work.prompt_ids))
    with run.chunk(seat.name, fingerprint=fingerprint, index=work.chunk) as (writer, counts):
        counts.rows_in = total
        counts.rows_kept = writer.append("judgments", answered, unique="judgment_id")
        fresh = writer.append("judgments", failed, unique="judgment_id")
        counts.dropped = _reasons(answers) if fresh == failed.num_rows else {"failed": fresh}
        counts.rows_duplicate = total - counts.rows_kept - counts.rows_dropped
        counts.tokens_in = sum(answer.tokens_in for answer in answers)
        counts.tokens_out = sum(answer.tokens_out for answer in answers)
    return counts


def finish(lake: Lake, panel: Panel, *, run: StageRun) -> int:
    """Close the judges that have nothing left to be asked, or only what they failed at: each gets its record.

    That record tells which revision of the judge counts from now on. Returns how many were written.
    """
    everything, written = bare_contests(lake), 0
    for seat in panel.seats.values():
        if not everything or _is_closed(lake, seat):
            continue
        left, _ = open_questions(lake, seat, everything)
        # With questions left to retry, the record must not keep the next run from retrying them.
        fingerprint = content_id(_closing(lake, seat), len(left)) if left else _closing(lake, seat)
        if fingerprint == newest(lake, "judge", seat.name):
            continue
        with run.chunk(seat.name, fingerprint=fingerprint, status="done") as (_, counts):
            counts.details |= {"revision": seat.revision, "kind": seat.judge.kind, "open": len(left)}
        written += 1
    return written


def ask(seat: Seat, asked: Sequence[Open]) -> list[Answer]:
    """The judge's answers, one for each question. A judge that breaks is a CurateError that says where."""
    readable = [each for each in asked if each.question.contest.text_only or seat.judge.sees_images]
    try:
        found = list(seat.judge.answer([each.question for each in readable])) if readable else []
    except CurateError:
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise CurateError(
            f"Judge {seat.name!r} broke with {type(error).__name__} at {frame.filename}:{frame.lineno}: {error}."
        ) from error
    if len(found) != len(readable) or not all(isinstance(answer, Answer) for answer in found):
        raise CurateError(
            f"Judge {seat.name!r} was asked {len(readable)} questions, and gave {len(found)} answers."
        )
    answers = {each.judgment_id: answer for each, answer in zip(readable, found, strict=True)}
    unread = abstain("the judge reads text only, and the prompt or a response holds images or videos")
    return [answers.get(each.judgment_id, unread) for each in asked]


def _judgment(seat: Seat, opened: Open, answer: Answer, *, run_id: str, seconds: float) -> Judgment:
    question, identity = opened.question, opened.judgment_id
    if answer.outcome == "failed":
        attempt = seat.attempts - 1 if answer.permanent else opened.failures
        identity = failure_id(identity, attempt)
    a, b = (candidate.response_id for candidate in question.asked)
    return Judgment(
        judgment_id=identity,
        prompt_id=question.contest.prompt_id,
        annotator_id=seat.name,
        kind=seat.judge.kind,
        form=question.form,
        response_a=a,
        response_b=b,
        shown=question.shown,
        outcome=answer.outcome,
        p_a=answer.p_a,
        score=answer.score,
        rationale=answer.rationale,
        raw=answer.raw,
        revision=seat.revision,
        sample=question.sample,
        tokens_in=answer.tokens_in,
        tokens_out=answer.tokens_out,
        seconds=seconds,
        run_id=run_id,
    )


def _reasons(answers: Sequence[Answer]) -> dict[str, int]:
    """Failures by reason; what follows a colon is about the single case."""
    failed = [answer for answer in answers if answer.outcome == "failed"]
    return dict(
        Counter((answer.raw or "").partition("\n")[0].partition(":")[0] or "failed" for answer in failed)
    )


def _is_closed(lake: Lake, seat: Seat) -> bool:
    """Whether nothing has changed since this judge, at this revision, was last found to have nothing open."""
    return newest(lake, "judge", seat.name) == _closing(lake, seat)


def _closing(lake: Lake, seat: Seat) -> str:
    return content_id(seat.revision, seat.attempts, lake.digest("responses", "response_id"))
