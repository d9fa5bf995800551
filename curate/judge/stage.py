"""The judge stage: find the pending questions, ask them chunk by chunk, and commit the judgments of each chunk.

A chunk is a fixed set of prompts and one judge. Its answers are committed in one transaction while the next chunk is
asked. A process that is killed loses the chunks that it was asking and committing; the next process asks them again,
in the same batches.
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

_CHUNKS_PER_LOOKUP = 256  # chunks whose pending questions are looked up together
_CHUNKS_PER_READ = 16  # chunks whose texts are read together
_CHEAP_FACTOR = 16  # times that the chunks of a cheap judge are larger


class AskChunk(Protocol):
    """Type of `answer_chunk`."""

    def __call__(
        self, lake: Lake, panel: Panel, work: WorkChunk, /, *, run_id: str, known: JudgmentIndex | None
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
        ask_chunk: Function in place of `answer_chunk`, so that an orchestrator can make a task of each chunk.

    Raises:
        CurateError: A judge or an engine does not work, or `max_cost` is set and an engine states no price.
    """
    section = config.judge
    budget = Budget(section.max_cost, section.max_tokens)
    has_asked = False
    with (
        Panel(config, only=only) as panel,
        contextlib.closing(lake.twin()) as writing,
        defer_sigint() as interrupted,
    ):
        _check_prices(panel)
        run = StageRun(writing, "judge", config_hash=section.digest)
        with BackgroundWriter(run) as writer:
            session = _Session(lake, panel, budget, writer, ask_chunk, interrupted, track)
            for chunks, known in _plan_rounds(lake, panel, budget, limit):
                session.ask_round(chunks, known)
                has_asked = True
        closed, left = finish_judges(lake, panel, run=run)
        notes = [configured.judge.note for configured in panel.judges.values()]
    note = "; ".join(filter(None, [_explain_stop(budget.refusal, left, limit), *notes]))
    return run.summary(skipped=not has_asked and not closed, note=note)


@dataclass(frozen=True, slots=True)
class _Session:
    """The parts that all rounds of a run share."""

    lake: Lake
    panel: Panel
    budget: Budget
    writer: BackgroundWriter
    ask_chunk: AskChunk
    interrupted: Callable[[], bool]
    track: Track

    def ask_round(self, chunks: Sequence[WorkChunk], known: JudgmentIndex | None) -> None:
        """Ask a round of one judge, as far as the budget goes, and wait until all answers are committed.

        `known`: ids that were looked up to plan the round.
        """
        configured = self.panel.judges[chunks[0].judge]
        with self.track(f"judge {configured.name}", sum(work.pending for work in chunks)) as advance:
            for number, work in enumerate(chunks):
                if _find_refusal(self.lake, self.panel, self.budget, work):
                    break
                if number % _CHUNKS_PER_READ == 0 and not configured.judge.is_cheap:
                    batch = chunks[number : number + _CHUNKS_PER_READ]
                    known = prepare_chunks(self.lake, self.panel, batch, known)
                run_id = self.writer.run.run_id
                answered = self.ask_chunk(self.lake, self.panel, work, run_id=run_id, known=known)
                self.writer.submit(answered)
                self.budget.add_spending(configured.name, work.pending, sum(answered.tokens), answered.cost)
                advance(work.pending, self.budget.progress_note)
                if self.interrupted():
                    raise KeyboardInterrupt
        self.writer.flush()


def estimate_cost(
    lake: Lake, config: Config, *, only: Collection[str] | None = None, limit: int | None = None
) -> list[CostEstimate]:
    """Estimate what `judge` would ask now and what that would cost, judge by judge.

    Nothing is sent, and no model is opened. `only` and `limit` as in `judge`.
    """
    with Panel(config, only=only) as panel:
        work = plan_chunks(lake, panel, limit=limit, upper_bound=True)
        chunks = {name: [chunk for chunk in work if chunk.judge == name] for name in panel.judges}
        return estimate_judges(lake, panel, chunks)


def _plan_rounds(
    lake: Lake, panel: Panel, budget: Budget, limit: int | None
) -> Iterator[tuple[list[WorkChunk], JudgmentIndex | None]]:
    """Yield the chunks to ask, judge by judge.

    If the next questions of a judge depend on its answers, its chunks are planned anew after each round. Once the
    budget has refused a chunk, only judges without an engine are planned, for they cost nothing. A failed question is
    asked again by the next run, not by the next round.
    """
    everything: list[PromptItem] = []
    for configured in panel.judges.values():
        rounds = itertools.count() if configured.asks_in_rounds else range(1)
        for number in rounds:
            if (budget.refusal and configured.engines) or not _list_unfinished(lake, [configured]):
                break
            everything = everything or list_items(lake)[:limit]
            work, known = _plan_judge(lake, panel, configured, everything, skip_failed=number > 0)
            if not work:
                break
            yield work, known


def _find_refusal(lake: Lake, panel: Panel, budget: Budget, work: WorkChunk) -> str:
    if budget.has_limit and not budget.has_estimate(work.judge) and panel.judges[work.judge].engines:
        expected = estimate_chunk(lake, panel, work)
        budget.set_estimate(
            work.judge, expected.questions, expected.tokens_in + expected.tokens_out, expected.cost or 0.0
        )
    return budget.find_refusal(work.judge, work.pending)


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
    unfinished = [configured for configured, _ in _list_unfinished(lake, judges)]
    everything = list_items(lake)[:limit] if unfinished else []
    return [
        work
        for configured in unfinished
        for work in _plan_judge(
            lake, panel, configured, everything, skip_failed=skip_failed, upper_bound=upper_bound
        )[0]
    ]


def _plan_judge(
    lake: Lake,
    panel: Panel,
    configured: ConfiguredJudge,
    everything: Sequence[PromptItem],
    *,
    skip_failed: bool = False,
    upper_bound: bool = False,
) -> tuple[list[WorkChunk], JudgmentIndex | None]:
    """Return the chunks that hold pending questions of one judge, and the ids that were looked up last."""
    size, work, known = (
        panel.config.judge.chunk * (_CHEAP_FACTOR if configured.judge.is_cheap else 1),
        [],
        None,
    )
    for start in range(0, len(everything), size * _CHUNKS_PER_LOOKUP):
        items = everything[start : start + size * _CHUNKS_PER_LOOKUP]
        known = JudgmentIndex.look_up(lake, configured, [item.prompt_id for item in items])
        pending, _ = find_pending_questions(
            lake, panel, configured, items, upper_bound=upper_bound, known=known
        )
        counts = Counter(
            question.question.item.prompt_id
            for question in pending
            if not (skip_failed and question.failures)
        )
        for first in range(0, len(items), size):
            prompt_ids = tuple(item.prompt_id for item in items[first : first + size])
            if n_pending := sum(counts[prompt_id] for prompt_id in prompt_ids):
                work.append(
                    WorkChunk(configured.name, (start + first) // size, prompt_ids, n_pending, skip_failed)
                )
    return work, known


def finish_judges(lake: Lake, panel: Panel, *, run: StageRun) -> tuple[int, dict[str, int]]:
    """Write a closing record for each judge that has no pending questions, or only ones that failed.

    The record tells which revision of the judge counts from now on.

    Returns:
        Number of records written, and the number of pending questions of each judge that has any.
    """
    # Before the items are read: none may come in between unseen.
    unfinished = _list_unfinished(lake, panel.judges.values())
    everything = list_items(lake) if unfinished else []
    written, pending_counts = 0, {}
    for configured, closing in unfinished if everything else ():
        pending, _ = find_pending_questions(lake, panel, configured, everything)
        if left := len(pending):
            pending_counts[configured.name] = left
            # With questions left to retry, the record must not keep the next run from retrying them.
            closing = content_id(closing, left)
            if closing == find_newest_run(lake, "judge", configured.name):
                continue
        with run.chunk(configured.name, fingerprint=closing, status="done") as (_, counts):
            counts.details |= {"revision": configured.revision, "kind": configured.judge.kind, "open": left}
        written += 1
    return written, pending_counts


def _list_unfinished(lake: Lake, judges: Iterable[ConfiguredJudge]) -> list[tuple[ConfiguredJudge, str]]:
    """List the judges for which anything has changed since their last closing record, with its new fingerprint."""
    responses = lake.digest("responses", "response_id")
    closing = [(configured, _make_fingerprint(lake, configured, responses)) for configured in judges]
    return [
        (configured, fingerprint)
        for configured, fingerprint in closing
        if find_newest_run(lake, "judge", configured.name) != fingerprint
    ]


def _make_fingerprint(lake: Lake, configured: ConfiguredJudge, responses: str) -> str:
    options = (
        configured.attempts,
        configured.pairs,
        configured.max_pairs,
        list(configured.after),
        configured.uncertain,
    )
    query = "SELECT count(*), bit_xor(hash(judgment_id)) FROM judgments WHERE list_contains(?, annotator_id)"
    earlier = lake.rows(query, [list(configured.after)]) if configured.after else []
    return content_id(configured.revision, options, earlier, responses)
