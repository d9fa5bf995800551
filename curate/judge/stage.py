"""The judge stage: finds the open questions, asks them chunk by chunk, and commits each chunk's judgments.

A chunk is a fixed set of prompts and one judge. All of it is asked and then committed in one transaction while the next
one is asked, so a process that is killed loses what it was asking and committing, and the next one asks that again, in
the same batches.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.judge.base import PromptItem
from curate.judge.budget import Budget
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.dry_run import CostEstimate, estimate_chunk, estimate_judges
from curate.judge.interrupt import defer_sigint
from curate.judge.pending import JudgmentIndex, WorkChunk, find_pending_questions, list_items, prepare_chunks
from curate.judge.runner import answer_chunk
from curate.judge.writer import AnsweredChunk, BackgroundWriter
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, Summary, find_newest_run

_CHUNKS_PER_LOOKUP = 256  # chunks whose open questions are looked up together
_CHUNKS_PER_READ = 16  # chunks whose texts are read together
_CHEAP_FACTOR = 16  # how much larger the chunks of a judge are that answers in no time


class AskChunk(Protocol):
    """The shape of `answer_chunk`."""

    def __call__(
        self, lake: Lake, panel: Panel, work: WorkChunk, /, *, run_id: str, known: JudgmentIndex | None
    ) -> AnsweredChunk: ...


def judge(
    lake: Lake,
    config: Config,
    *,
    only: Collection[str] | None = None,
    limit: int | None = None,
    track: Track = no_progress,
    ask_chunk: AskChunk = answer_chunk,
) -> Summary:
    """Ask the panel everything that it has not been asked yet. `only`: names of judges; `limit`: first prompts only.

    `ask_chunk`: called in place of `answer_chunk`, so that an orchestrator can make a task of each chunk. Stops where
    the budget of `config.judge` ends (the summary's note says what is left), and after the chunk in flight on Ctrl-C.
    """
    section = config.judge
    budget = Budget(section.max_cost, section.max_tokens)
    asked = False
    with (
        Panel(config, only=only) as panel,
        contextlib.closing(lake.twin()) as writing,
        defer_sigint() as interrupted,
    ):
        _check_prices(panel)
        run = StageRun(writing, "judge", config_hash=section.digest)
        with BackgroundWriter(run) as ledger:
            session = _Session(lake, panel, budget, ledger, ask_chunk, interrupted, track)
            for work, known in _plan_rounds(lake, panel, budget, limit):
                session.ask(work, known)
                asked = True
        closed, left = finish_judges(lake, panel, run=run)
    return run.summary(skipped=not asked and not closed, note=_explain_stop(budget.refusal, left, limit))


@dataclass(frozen=True, slots=True)
class _Session:
    """What all rounds of a run have in common."""

    lake: Lake
    panel: Panel
    budget: Budget
    ledger: BackgroundWriter
    ask_chunk: AskChunk
    interrupted: Callable[[], bool]
    track: Track

    def ask(self, work: Sequence[WorkChunk], known: JudgmentIndex | None) -> None:
        """Ask a round of one judge, as far as the budget goes, and wait until all that it said is committed.

        `known`: what has just been looked up to plan it.
        """
        seat = self.panel.seats[work[0].judge]
        with self.track(f"judge {seat.name}", sum(each.open for each in work)) as advance:
            for number, each in enumerate(work):
                if _find_refusal(self.lake, self.panel, self.budget, each):
                    break
                if number % _CHUNKS_PER_READ == 0 and not seat.judge.quick:
                    known = prepare_chunks(self.lake, self.panel, work[number : number + _CHUNKS_PER_READ], known)
                run_id = self.ledger.run.run_id
                answered = self.ask_chunk(self.lake, self.panel, each, run_id=run_id, known=known)
                self.ledger.file(answered)
                self.budget.spend(seat.name, each.open, sum(answered.tokens), answered.cost)
                advance(each.open, self.budget.note)
                if self.interrupted():
                    raise KeyboardInterrupt
        self.ledger.flush()


def estimate_cost(
    lake: Lake, config: Config, *, only: Collection[str] | None = None, limit: int | None = None
) -> list[CostEstimate]:
    """What `judge` would ask now, and what that would take, judge by judge. Nothing is sent, no model is opened."""
    with Panel(config, only=only) as panel:
        work = plan_chunks(lake, panel, limit=limit, ahead=True)
        chunks = {name: [each for each in work if each.judge == name] for name in panel.seats}
        return estimate_judges(lake, panel, chunks)


def _plan_rounds(
    lake: Lake, panel: Panel, budget: Budget, limit: int | None
) -> Iterator[tuple[list[WorkChunk], JudgmentIndex | None]]:
    """The chunks to ask, judge by judge, planned anew after each round of a judge whose next questions depend on its
    answers. Once the budget has refused one, only judges that use no engine, and so cost nothing, are planned.

    What fails is asked again by the next run, not by the next round.
    """
    everything: list[PromptItem] = []
    for seat in panel.seats.values():
        rounds = itertools.count() if seat.in_rounds else range(1)
        for number in rounds:
            if (budget.refusal and seat.engines) or not _list_unfinished(lake, [seat]):
                break
            everything = everything or list_items(lake)[:limit]
            work, known = _plan_judge(lake, panel, seat, everything, fresh=number > 0)
            if not work:
                break
            yield work, known


def _find_refusal(lake: Lake, panel: Panel, budget: Budget, work: WorkChunk) -> str:
    if budget.limited and not budget.knows(work.judge) and panel.seats[work.judge].engines:
        expected = estimate_chunk(lake, panel, work)
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


def _explain_stop(stop: str, left: Mapping[str, int], limit: int | None) -> str:
    if not left or not (stop or limit):
        return stop
    listed = ", ".join(f"{name} {number:,}" for name, number in left.items())
    why = stop or "stopped at --limit"
    return f"{why}; {sum(left.values()):,} questions are left ({listed}): run it again to go on"


def plan_chunks(
    lake: Lake,
    panel: Panel,
    *,
    only: Collection[str] | None = None,
    limit: int | None = None,
    fresh: bool = False,
    ahead: bool = False,
) -> list[WorkChunk]:
    """The chunks that hold open questions, judge by judge.

    `limit`: of the first prompts only. `fresh`: without questions that failed before. `ahead`: with all that later
    rounds, and judges that are to be heard first, may bring.
    """
    seats = [seat for seat in panel.seats.values() if only is None or seat.name in only]
    pending = [seat for seat, _ in _list_unfinished(lake, seats)]
    everything = list_items(lake)[:limit] if pending else []
    return [
        work
        for seat in pending
        for work in _plan_judge(lake, panel, seat, everything, fresh=fresh, ahead=ahead)[0]
    ]


def _plan_judge(
    lake: Lake,
    panel: Panel,
    seat: ConfiguredJudge,
    everything: Sequence[PromptItem],
    *,
    fresh: bool = False,
    ahead: bool = False,
) -> tuple[list[WorkChunk], JudgmentIndex | None]:
    """The chunks that hold open questions of one judge, and what was looked up last to find them."""
    size, work, known = panel.config.judge.chunk * (_CHEAP_FACTOR if seat.judge.quick else 1), [], None
    for start in range(0, len(everything), size * _CHUNKS_PER_LOOKUP):
        slab = everything[start : start + size * _CHUNKS_PER_LOOKUP]
        known = JudgmentIndex.look_up(lake, seat, [contest.prompt_id for contest in slab])
        found, _ = find_pending_questions(lake, panel, seat, slab, ahead=ahead, known=known)
        counts = Counter(each.question.contest.prompt_id for each in found if not (fresh and each.failures))
        for at in range(0, len(slab), size):
            prompt_ids = tuple(contest.prompt_id for contest in slab[at : at + size])
            if opened := sum(counts[prompt_id] for prompt_id in prompt_ids):
                work.append(WorkChunk(seat.name, (start + at) // size, prompt_ids, opened, fresh))
    return work, known


def finish_judges(lake: Lake, panel: Panel, *, run: StageRun) -> tuple[int, dict[str, int]]:
    """Close the judges that have nothing left to be asked, or only what they failed at: each gets its record.

    That record tells which revision of the judge counts from now on. Returns how many were written, and how many
    questions are left to each judge that has any.
    """
    # Before the contests are read: none may come in between unseen.
    pending = _list_unfinished(lake, panel.seats.values())
    everything = list_items(lake) if pending else []
    written, open_now = 0, {}
    for seat, closing in pending if everything else ():
        found, _ = find_pending_questions(lake, panel, seat, everything)
        if left := len(found):
            open_now[seat.name] = left
            # With questions left to retry, the record must not keep the next run from retrying them.
            closing = content_id(closing, left)
            if closing == find_newest_run(lake, "judge", seat.name):
                continue
        with run.chunk(seat.name, fingerprint=closing, status="done") as (_, counts):
            counts.details |= {"revision": seat.revision, "kind": seat.judge.kind, "open": left}
        written += 1
    return written, open_now


def _list_unfinished(lake: Lake, seats: Iterable[ConfiguredJudge]) -> list[tuple[ConfiguredJudge, str]]:
    """The judges for which anything has changed since they were last found, at this revision, to have nothing open.

    With the fingerprint of the record that closes them, as things are now.
    """
    responses = lake.digest("responses", "response_id")
    closing = [(seat, _make_fingerprint(lake, seat, responses)) for seat in seats]
    return [(seat, each) for seat, each in closing if find_newest_run(lake, "judge", seat.name) != each]


def _make_fingerprint(lake: Lake, seat: ConfiguredJudge, responses: str) -> str:
    asked = (seat.attempts, seat.pairs, seat.max_pairs, list(seat.after), seat.uncertain)
    heard = "SELECT count(*), bit_xor(hash(judgment_id)) FROM judgments WHERE list_contains(?, annotator_id)"
    said = lake.rows(heard, [list(seat.after)]) if seat.after else []
    return content_id(seat.revision, asked, said, responses)
