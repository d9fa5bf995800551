"""The judge stage: finds the open questions, asks them chunk by chunk, and commits each chunk's judgments.

A chunk is a fixed set of prompts and one judge. All of it is asked and then committed in one transaction, so a process
that is killed loses the chunk in flight and the next one asks it again, in the same batches.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow.compute as pc

from curate.config import Config
from curate.errors import CurateError
from curate.identity import content_id
from curate.judge.base import Answer, abstain
from curate.judge.budget import Budget
from curate.judge.docket import Open, Work, bare_contests, open_questions, prepare, prepared
from curate.judge.interrupt import patient
from curate.judge.opinions import with_opinions
from curate.judge.panel import Panel, Seat
from curate.judge.rehearsal import Estimate, estimates, rehearse
from curate.judge.rows import judgment_rows
from curate.lake import Lake
from curate.progress import Track, silent
from curate.runs import Counts, StageRun, Summary, newest

_SLAB = 256  # chunks whose open questions are looked up together
_AHEAD = 16  # chunks whose texts are read together
_QUICK = 16  # how much larger the chunks of a judge are that answers in no time


class AskChunk(Protocol):
    """The shape of `judge_chunk`."""

    def __call__(self, lake: Lake, panel: Panel, work: Work, /, *, run: StageRun) -> Counts: ...


def judge(
    lake: Lake,
    config: Config,
    *,
    only: Collection[str] | None = None,
    limit: int | None = None,
    track: Track = silent,
    ask_chunk: AskChunk | None = None,
) -> Summary:
    """Ask the panel everything that it has not been asked yet. `only`: names of judges; `limit`: first prompts only.

    `ask_chunk`: called in place of `judge_chunk`, so that an orchestrator can make a task of each chunk. Stops where
    the budget of `config.judge` ends (the summary's note says what is left), and after the chunk in flight on Ctrl-C.
    """
    section = config.judge
    budget = Budget(section.max_cost, section.max_tokens)
    with Panel(config, only=only) as panel, patient() as interrupted:
        _check_prices(panel)
        run, stop, asked = StageRun(lake, "judge", config_hash=section.digest), "", 0
        for seat in panel.seats.values():
            for work in _rounds(lake, panel, seat, limit):
                with track(f"judge {seat.name}", sum(each.open for each in work)) as advance:
                    for number, each in enumerate(work):
                        if number % _AHEAD == 0 and not seat.judge.quick:
                            prepare(
                                lake,
                                panel,
                                [of for w in work[number : number + _AHEAD] for of in w.prompt_ids],
                            )
                        if stop := stop or _refusal(lake, panel, budget, each):
                            break
                        counts = (ask_chunk or judge_chunk)(lake, panel, each, run=run)
                        budget.spend(seat.name, each.open, counts)
                        advance(each.open, budget.note)
                        asked += 1
                        if interrupted():
                            raise KeyboardInterrupt
                if stop:
                    break
        closed, left = finish(lake, panel, run=run)
    return run.summary(skipped=not asked and not closed and not stop, note=_remark(stop, left, limit))


def estimate(
    lake: Lake, config: Config, *, only: Collection[str] | None = None, limit: int | None = None
) -> list[Estimate]:
    """What `judge` would ask now, and what that would take, judge by judge. Nothing is sent, no model is opened."""
    with Panel(config, only=only) as panel:
        work = plan(lake, panel, limit=limit, ahead=True)
        chunks = {name: [each for each in work if each.judge == name] for name in panel.seats}
        return estimates(lake, panel, chunks)


def _rounds(lake: Lake, panel: Panel, seat: Seat, limit: int | None) -> Iterator[list[Work]]:
    """The chunks to ask, planned anew after each round for a judge whose next questions depend on its answers.

    What fails is asked again by the next run, not by the next round.
    """
    work = plan(lake, panel, only=[seat.name], limit=limit)
    while work:
        yield work
        work = plan(lake, panel, only=[seat.name], limit=limit, fresh=True) if seat.in_rounds else []


def _refusal(lake: Lake, panel: Panel, budget: Budget, work: Work) -> str:
    if budget.limited and not budget.knows(work.judge) and panel.seats[work.judge].engines:
        expected = rehearse(lake, panel, work)
        budget.expect(
            work.judge, expected.questions, expected.tokens_in + expected.tokens_out, expected.cost or 0.0
        )
    return budget.refuses(work.judge, work.open)


def _check_prices(panel: Panel) -> None:
    """A limit on what nobody knows would be no limit."""
    if panel.config.judge.max_cost is None:
        return
    for seat in panel.seats.values():
        for engine in seat.engines:
            if engine.price(1, 1) is None:
                raise CurateError(
                    f"`judge.max_cost` is set, but engine {engine.name!r} of judge {seat.name!r} states no price: "
                    "add `price_in` and `price_out` to it (0 where it costs nothing)."
                )


def _remark(stop: str, left: Mapping[str, int], limit: int | None) -> str:
    if not left or not (stop or limit):
        return stop
    listed = ", ".join(f"{name} {number:,}" for name, number in left.items())
    why = stop or "stopped at --limit"
    return f"{why}; {sum(left.values()):,} questions are left ({listed}): run it again to go on"


def plan(
    lake: Lake,
    panel: Panel,
    *,
    only: Collection[str] | None = None,
    limit: int | None = None,
    fresh: bool = False,
    ahead: bool = False,
) -> list[Work]:
    """The chunks that hold open questions, judge by judge.

    `limit`: of the first prompts only. `fresh`: without questions that failed before. `ahead`: with all that later
    rounds, and judges that are to be heard first, may bring.
    """
    seats = [seat for seat in panel.seats.values() if only is None or seat.name in only]
    pending = [seat for seat in seats if not _is_closed(lake, seat)]
    everything = bare_contests(lake)[:limit] if pending else []
    work = []
    for seat in pending:
        size = panel.config.judge.chunk * (_QUICK if seat.judge.quick else 1)
        for start in range(0, len(everything), size * _SLAB):
            slab = everything[start : start + size * _SLAB]
            found, _ = open_questions(lake, panel, seat, slab, ahead=ahead)
            counts = Counter(
                each.question.contest.prompt_id for each in found if not (fresh and each.failures)
            )
            for at in range(0, len(slab), size):
                prompt_ids = tuple(contest.prompt_id for contest in slab[at : at + size])
                if opened := sum(counts[prompt_id] for prompt_id in prompt_ids):
                    work.append(Work(seat.name, (start + at) // size, prompt_ids, opened, fresh))
    return work


def judge_chunk(lake: Lake, panel: Panel, work: Work, *, run: StageRun) -> Counts:
    """Ask one judge what is open in one chunk, and commit what it says.

    Counts: in = all questions of the chunk, kept = answered now, duplicate = answered before (or meanwhile by another
    process, or given up), dropped = failed now, by reason.
    """
    seat, began = panel.seats[work.judge], time.monotonic()
    of = with_opinions(lake, panel, seat, prepared(lake, panel, work.prompt_ids))
    asked, total = open_questions(lake, panel, seat, of)
    asked = [each for each in asked if not (work.fresh and each.failures)]
    answers = _ask_twice(seat, asked)
    seconds = (time.monotonic() - began) / max(1, len(asked))
    rows = judgment_rows(seat, asked, answers, run_id=run.run_id, seconds=seconds)
    has_failed = pc.equal(rows["outcome"], "failed")
    answered, failed = rows.filter(pc.invert(has_failed)), rows.filter(has_failed)
    fingerprint = content_id(seat.revision, list(work.prompt_ids))
    with run.chunk(seat.name, fingerprint=fingerprint, index=work.chunk) as (writer, counts):
        counts.rows_in = total
        counts.rows_kept = writer.append("judgments", answered, unique="judgment_id", near="prompt_id")
        fresh = writer.append("judgments", failed, unique="judgment_id", near="prompt_id")
        counts.dropped = _reasons(answers) if fresh == failed.num_rows else {"failed": fresh}
        counts.rows_duplicate = total - counts.rows_kept - counts.rows_dropped
        counts.tokens_in = sum(answer.tokens_in for answer in answers)
        counts.tokens_out = sum(answer.tokens_out for answer in answers)
        counts.details = {"revision": seat.revision}
        counts.cost = seat.price(counts.tokens_in, counts.tokens_out) or 0.0
    return counts


def finish(lake: Lake, panel: Panel, *, run: StageRun) -> tuple[int, dict[str, int]]:
    """Close the judges that have nothing left to be asked, or only what they failed at: each gets its record.

    That record tells which revision of the judge counts from now on. Returns how many were written, and how many
    questions are left to each judge that has any.
    """
    everything, written, open_now = bare_contests(lake), 0, {}
    for seat in panel.seats.values():
        if not everything or _is_closed(lake, seat):
            continue
        found, _ = open_questions(lake, panel, seat, everything)
        left = len(found)
        if left:
            open_now[seat.name] = left
        # With questions left to retry, the record must not keep the next run from retrying them.
        fingerprint = content_id(_closing(lake, seat), left) if left else _closing(lake, seat)
        if fingerprint == newest(lake, "judge", seat.name):
            continue
        with run.chunk(seat.name, fingerprint=fingerprint, status="done") as (_, counts):
            counts.details |= {"revision": seat.revision, "kind": seat.judge.kind, "open": left}
        written += 1
    return written, open_now


def _ask_twice(seat: Seat, asked: Sequence[Open]) -> list[Answer]:
    """`ask`; where an engine has died of it, once more with the engine opened anew."""
    try:
        return ask(seat, asked)
    except JudgeError as error:
        if not seat.engines:
            raise
        for engine in seat.engines:
            with contextlib.suppress(Exception):  # it is dead already
                engine.close()
        try:
            return ask(seat, asked)
        except JudgeError as again:
            names = ", ".join(engine.name for engine in seat.engines)
            raise CurateError(
                f"{again} Opening the engine anew ({names}) did not help. What was judged before is kept: mend it, and "
                "run the same command to go on."
            ) from error


class JudgeError(CurateError):
    """A judge, or the engine under it, raised something that is no answer."""


def ask(seat: Seat, asked: Sequence[Open]) -> list[Answer]:
    """The judge's answers, one for each question. A judge that breaks is a CurateError that says where."""
    readable = [each for each in asked if each.question.contest.text_only or seat.judge.sees_images]
    try:
        found = list(seat.judge.answer([each.question for each in readable])) if readable else []
    except CurateError:
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise JudgeError(
            f"Judge {seat.name!r} broke with {type(error).__name__} at {frame.filename}:{frame.lineno}: {error}."
        ) from error
    if len(found) != len(readable) or not all(isinstance(answer, Answer) for answer in found):
        raise CurateError(
            f"Judge {seat.name!r} was asked {len(readable)} questions, and gave {len(found)} answers."
        )
    answers = {each.judgment_id: answer for each, answer in zip(readable, found, strict=True)}
    unread = abstain("the judge reads text only, and the prompt or a response holds images or videos")
    return [answers.get(each.judgment_id, unread) for each in asked]


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
    asked = (seat.attempts, seat.pairs, seat.max_pairs, list(seat.after), seat.uncertain)
    heard = "SELECT count(*), bit_xor(hash(judgment_id)) FROM judgments WHERE list_contains(?, annotator_id)"
    said = lake.rows(heard, [list(seat.after)]) if seat.after else []
    return content_id(seat.revision, asked, said, lake.digest("responses", "response_id"))
