"""The judge stage: find the pending questions, ask them chunk by chunk, and commit the judgments of each chunk.

Judges that wait for different servers are asked at the same time (`curate.judge.lanes`).
A chunk is a fixed set of prompts and one judge. Its answers are committed in one transaction while the next chunk is
asked. A process that is killed loses the chunks that it was asking and committing; the next process asks them again,
in the same batches.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.progress import Track, no_progress
from curate.judge.base import PromptItem
from curate.judge.budget import Budget
from curate.judge.closing import (
    digest_responses,
    finish_judges,
    list_unfinished,
    make_closing_fingerprint,
)
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.dry_run import CostEstimate, estimate_chunk, estimate_plan
from curate.judge.interrupt import defer_sigint
from curate.judge.lanes import LaneRunner, RunInterrupted
from curate.judge.pending import list_items
from curate.judge.plan import Plan, WorkChunk, count_unanswered, make_plan
from curate.judge.reader import ChunkReader, SnapshotOfOthers
from curate.judge.runner import answer_chunk
from curate.judge.worker import WorkerPanel
from curate.judge.writer import AnsweredChunk, BackgroundWriter
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, Summary, find_newest_run
from curate.runner import open_runner


class AskChunk(Protocol):
    """Type of `answer_chunk`."""

    def __call__(
        self, lake: Lake, panel: Panel, work: WorkChunk, /, *, run_id: str, reader: ChunkReader | None
    ) -> AnsweredChunk: ...


def judge_responses(
    lake: Lake,
    config: Config,
    *,
    only: Collection[str] | None = None,
    limit: int | None = None,
    track: Track = no_progress,
    ask_chunk: AskChunk = answer_chunk,
) -> Summary:
    """Ask the panel all that it has not been asked yet.

    The run stops where the budget of `config.judge` ends (the note of the summary says how many questions are left),
    and after the current chunk on Ctrl-C.

    Args:
        lake: Lake that receives the judgments.
        config: Configuration with the panel.
        only: Names of the judges to ask; None: all.
        limit: Number of prompts, the first ones; None: all.
        track: Makes the progress bars.
        ask_chunk: Function in place of `answer_chunk`, so that an orchestrator can make a task of each chunk. What
            workers of `runner` answer does not go through it.

    Raises:
        CurateError: A judge or an engine does not work, or `max_cost` is set and an engine states no price.
    """
    section = config.judge
    budget = Budget(section.max_cost, section.max_tokens)
    with (
        Panel(config, only=only) as panel,
        contextlib.closing(lake.twin()) as writing,
        defer_sigint() as interrupted,
    ):
        _check_prices(panel)
        run = StageRun(writing, "judge", config_hash=section.digest)
        with open_runner(config) as runner, BackgroundWriter(run) as writer:
            workers = WorkerPanel(runner, panel, run.run_id)
            lanes = LaneRunner(tuple(panel.judges.values()), cancel=workers.close)
            walk = _Walk(panel, budget, limit)
            session = _Session(panel, budget, writer, ask_chunk, interrupted, track, lanes, walk, workers)
            lanes.run(lambda lane, is_main: session.ask_lane(lake, lane, is_main=is_main))
        closed, left = finish_judges(lake, panel, run=run, unanswered=walk.unanswered)
        notes = [*(configured.judge.note for configured in panel.judges.values()), *workers.list_notes()]
    note = "; ".join(filter(None, [_explain_stop(budget.refusal, left, limit), *notes]))
    return run.summary(skipped=not walk.has_planned and not closed, note=note)


@dataclass(frozen=True, slots=True)
class _Session:
    """The parts that all plans of a run share, in whatever thread they are walked."""

    panel: Panel
    budget: Budget
    writer: BackgroundWriter
    ask_chunk: AskChunk
    interrupted: Callable[[], bool]
    track: Track
    runner: LaneRunner
    walk: _Walk
    workers: WorkerPanel

    def ask_lane(self, lake: Lake, lane: Sequence[ConfiguredJudge], *, is_main: bool) -> None:
        """Ask the judges of a lane, one after another; every lane but the main one opens the lake anew."""
        with contextlib.nullcontext(lake) if is_main else Lake.open(lake.location) as own:
            for configured in lane:
                if not self.runner.wait_for_predecessors(configured):
                    return
                for plan in self.walk.make_plans(own, configured):
                    self.ask_plan(own, plan)
                    if self.runner.should_stop():
                        return
                self.runner.mark_through(configured)

    def ask_plan(self, lake: Lake, plan: Plan) -> None:
        """Walk a plan, as far as the budget goes, and wait until all answers are committed."""
        name, run = plan.configured.name, self.writer.run
        others = SnapshotOfOthers(lake, run, plan.snapshot)
        reader = ChunkReader(lake, self.panel, plan.chunks, since=others)
        most = self.workers.most_in_flight if self.workers.takes(plan.configured) else 1
        in_flight: deque[tuple[WorkChunk, Callable[[], AnsweredChunk]]] = deque()
        with self.track(f"judge {name}", plan.pending) as advance:

            def collect_oldest() -> None:
                work, wait = in_flight.popleft()
                answered = wait()
                self.writer.submit(answered)
                self.budget.add_spending(name, work.pending, sum(answered.tokens), answered.cost)
                advance(work.pending, self.budget.progress_note)

            try:
                for work in plan.chunks:
                    while (reason := _begin_chunk(lake, self.panel, self.budget, work)) and in_flight:
                        collect_oldest()
                    if reason or self.runner.should_stop() or self.interrupted():
                        break
                    in_flight.append((work, self._start_chunk(lake, work, reader)))
                    while len(in_flight) >= most:
                        collect_oldest()
                while in_flight:
                    collect_oldest()
            finally:
                self.budget.drop_chunks(name)
            if self.interrupted():
                raise RunInterrupted
        self.writer.flush()

    def _start_chunk(self, lake: Lake, work: WorkChunk, reader: ChunkReader) -> Callable[[], AnsweredChunk]:
        """Ask a chunk here, or send it to a worker; the function that is returned waits for the answers."""
        configured = self.panel.judges[work.judge]
        if self.workers.takes(configured):
            return self.workers.submit(configured, work, reader.read_questions(work))
        answered = self.ask_chunk(lake, self.panel, work, run_id=self.writer.run.run_id, reader=reader)
        return lambda: answered


def estimate_cost(
    lake: Lake, config: Config, *, only: Collection[str] | None = None, limit: int | None = None
) -> list[CostEstimate]:
    """Estimate what `judge` would ask now and what that would cost, judge by judge.

    Nothing is sent, and no model is opened. `only` and `limit` as in `judge`.
    """
    with Panel(config, only=only) as panel:
        unfinished = {configured.name for configured, _ in list_unfinished(lake, panel.judges.values())}
        items = list_items(lake)[:limit] if unfinished else []
        return [
            estimate_plan(
                lake,
                panel,
                make_plan(lake, panel, configured, items if name in unfinished else (), upper_bound=True),
            )
            for name, configured in panel.judges.items()
        ]


@dataclass(slots=True)
class _Walk:
    """Makes the plans of a run, judge by judge, and notes what each judge that was planned has left in the end.

    Attributes:
        has_planned: There was a plan with pending questions.
        unanswered: By judge, what `finish_judges` need not find out again: the closing fingerprint under which its plan
            was made, and the number of questions of the plan that are left.
    """

    panel: Panel
    budget: Budget
    limit: int | None
    has_planned: bool = field(init=False, default=False)
    unanswered: dict[str, tuple[str, int]] = field(init=False, default_factory=dict)
    _items: list[PromptItem] = field(init=False, default_factory=list)
    _responses: str = field(init=False, default="")
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def make_plans(self, lake: Lake, configured: ConfiguredJudge) -> Iterator[Plan]:
        """Yield the plans of a judge with pending questions; the next one is made when the last one is walked.

        If the next questions of a judge depend on its answers, it gets a new plan after each round. Once the budget
        has refused a chunk, only judges without an engine are planned, for they cost nothing. A failed question is
        asked again by the next run, not by the next round.
        """
        for number in itertools.count() if configured.asks_in_rounds else range(1):
            if self.budget.refusal and configured.engines:
                break
            closing, items = self._find_changes(lake, configured)
            if closing is None:
                break
            plan = make_plan(lake, self.panel, configured, items, skip_failed=number > 0)
            if plan.chunks:
                self.has_planned = True
                yield plan
            if items and self.limit is None and not configured.asks_in_rounds:
                self.unanswered[configured.name] = closing, count_unanswered(lake, plan)
            if not plan.chunks:
                break

    def _find_changes(self, lake: Lake, configured: ConfiguredJudge) -> tuple[str | None, list[PromptItem]]:
        """Return the judge's new closing fingerprint if anything has changed for it, and the prompts of now.

        The fingerprint is made before the prompts are read: none may come in between unseen.
        """
        with self._lock:  # the prompts are read once for all lanes
            responses = digest_responses(lake)
            closing = make_closing_fingerprint(lake, configured, responses)
            if find_newest_run(lake, "judge", configured.name) == closing:
                return None, []
            if responses != self._responses:
                self._items, self._responses = list_items(lake)[: self.limit], responses
            return closing, self._items


def _begin_chunk(lake: Lake, panel: Panel, budget: Budget, work: WorkChunk) -> str:
    """Set the budget of a chunk aside; return the reason why it must not be asked, or ""."""
    if budget.has_limit and not budget.has_estimate(work.judge) and panel.judges[work.judge].engines:
        expected = estimate_chunk(lake, panel, work)
        budget.set_estimate(
            work.judge, expected.questions, expected.tokens_in + expected.tokens_out, expected.cost or 0.0
        )
    return budget.begin_chunk(work.judge, work.pending)


def _check_prices(panel: Panel) -> None:
    """Raise CurateError if `max_cost` is set and an engine states no price: the limit could not be kept."""
    if panel.config.judge.max_cost is None:
        return
    for configured in panel.judges.values():
        for engine in configured.engines:
            if engine.price(1, 1) is None:
                raise CurateError(
                    f"`judge.max_cost` is set, but engine {engine.name!r} of judge {configured.name!r} states "
                    "no price: add `price_in` and `price_out` to it (0 where it costs nothing)."
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
    skip_failed: bool = False,
    upper_bound: bool = False,
) -> list[WorkChunk]:
    """List the chunks that hold pending questions, judge by judge.

    Args:
        lake: Lake with the judgments so far.
        panel: The judges.
        only: Names of judges; None: all.
        limit: Number of prompts, the first ones; None: all.
        skip_failed: Leave out questions that failed before.
        upper_bound: Count all that later rounds, and judges that answer first, can make pending.
    """
    judges = [configured for configured in panel.judges.values() if only is None or configured.name in only]
    unfinished = [configured for configured, _ in list_unfinished(lake, judges)]
    items = list_items(lake)[:limit] if unfinished else []
    return [
        work
        for configured in unfinished
        for work in make_plan(
            lake, panel, configured, items, skip_failed=skip_failed, upper_bound=upper_bound
        ).chunks
    ]
