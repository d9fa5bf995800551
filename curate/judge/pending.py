"""The docket: what each judge still has to be asked, found by the ids of its judgments in the lake."""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curate.config.judge import Pairs
from curate.core.identity import content_id
from curate.core.resources import read_query
from curate.judge.base import CandidateResponse, PromptItem, Question
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.selection import Pair, select_pairs
from curate.lake.lake import Lake
from curate.records import Message, Part, plain_text

_MAX_AGE = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class PendingQuestion:
    """A question without an answer, its id, and how often it has failed so far."""

    question: Question
    judgment_id: str
    failures: int


@dataclass(frozen=True, slots=True)
class WorkChunk:
    """One open chunk of one judge: what a worker process needs to be told. `open`: its open questions.

    `fresh`: without what has failed before.
    """

    judge: str
    chunk: int
    prompt_ids: tuple[str, ...]
    open: int
    fresh: bool = False


def read_items(lake: Lake, prompt_ids: Sequence[str]) -> list[PromptItem]:
    """The prompts with all that judges may read, in the order of their ids."""
    with lake.bind("wanted", _make_prompt_table(prompt_ids)):
        rows = lake.rows(read_query("judge_contests"))
    return [_make_item(*row) for row in rows]


def prepare_chunks(lake: Lake, panel: Panel, work: Sequence[WorkChunk], known: JudgmentIndex | None) -> JudgmentIndex:
    """Read the contests of several chunks of one judge at once, and what it has said of them, where `known` does not
    serve: a prompt's texts may lie anywhere in the lake's files, and a query costs more than a chunk of a judge that
    answers at once.
    """
    prompt_ids = [prompt_id for each in work for prompt_id in each.prompt_ids]
    missing = [prompt_id for prompt_id in prompt_ids if prompt_id not in panel.contests]
    if missing:
        panel.contests = {contest.prompt_id: contest for contest in read_items(lake, prompt_ids)}
    seat = panel.seats[work[0].judge]
    if known is not None and known.serves(seat, prompt_ids):
        return known
    return JudgmentIndex.look_up(lake, seat, prompt_ids)


def get_items(lake: Lake, panel: Panel, prompt_ids: Sequence[str]) -> list[PromptItem]:
    """The contests of a chunk, read now if nobody has prepared them."""
    if all(prompt_id in panel.contests for prompt_id in prompt_ids):
        return [panel.contests[prompt_id] for prompt_id in prompt_ids]
    return read_items(lake, prompt_ids)


def list_items(lake: Lake) -> list[PromptItem]:
    """All prompts that have pairs, with ids only: enough to know what there is to ask."""
    return [
        PromptItem(prompt_id, (), None, tuple(CandidateResponse(each, "") for each in ids))
        for prompt_id, ids in lake.rows(read_query("judge_candidates"))
    ]


@dataclass(frozen=True, slots=True)
class JudgmentIndex:
    """What a judge has answered, and failed at, about the prompts with ids from `first` to `last`; `read`: when."""

    seat: ConfiguredJudge
    first: str
    last: str
    answered: frozenset[str]
    failures: frozenset[str]
    read: float

    @classmethod
    def look_up(cls, lake: Lake, seat: ConfiguredJudge, prompt_ids: Sequence[str]) -> JudgmentIndex:
        first, last, read = min(prompt_ids), max(prompt_ids), time.monotonic()
        rows = lake.rows(read_query("judge_known"), (seat.name, seat.revision, first, last))
        answered = frozenset(identity for identity, failed in rows if not failed)
        return cls(seat, first, last, answered, frozenset(each for each, failed in rows if failed), read)

    def serves(self, seat: ConfiguredJudge, prompt_ids: Sequence[str]) -> bool:
        """Whether it says enough of these prompts, and is not so old that another process may have answered since."""
        covers = self.seat is seat and self.first <= min(prompt_ids) and max(prompt_ids) <= self.last
        return covers and time.monotonic() - self.read < _MAX_AGE


def find_pending_questions(
    lake: Lake,
    panel: Panel,
    seat: ConfiguredJudge,
    of: Sequence[PromptItem],
    *,
    ahead: bool = False,
    known: JudgmentIndex | None = None,
) -> tuple[list[PendingQuestion], int]:
    """What is open now of the questions that a judge is to be asked about these contests, and how many they are in all.

    A question that has failed `attempts` times is not open any more. `ahead`: count in what later rounds, and judges
    that are to be heard first, may bring at most. `known`: what has been looked up before.
    """
    if not of:
        return [], 0
    known = known or JudgmentIndex.look_up(lake, seat, [contest.prompt_id for contest in of])
    wanted = _choose_pairs(lake, panel, seat, of, ahead=ahead)
    found, total = [], 0
    for contest in of:
        asked_for = None if wanted is None else wanted[contest.prompt_id]
        if asked_for is not None and not asked_for:
            continue
        for question in seat.judge.questions(contest):
            if asked_for is not None and not _is_about_pairs(question, asked_for):
                continue
            total += 1
            identity = question.judgment_id(annotator=seat.name, revision=seat.revision)
            if identity not in known.answered:
                tried = _count_attempts(identity, known.failures, seat.attempts) if known.failures else 0
                if tried < seat.attempts:
                    found.append(PendingQuestion(question, identity, tried))
    return found, total


def _choose_pairs(
    lake: Lake, panel: Panel, seat: ConfiguredJudge, of: Sequence[PromptItem], *, ahead: bool
) -> dict[str, set[Pair]] | None:
    """By prompt, the pairs that a judge is to be asked about; None: all."""
    if seat.pairs == "all" and not seat.after:
        return None
    ids = {contest.prompt_id: [candidate.response_id for candidate in contest.candidates] for contest in of}
    said, _ = _read_pair_judgments(lake, [(seat.name, seat.revision)], ids) if seat.in_rounds else ({}, set())
    pairs: Pairs = "round-robin" if ahead and seat.in_rounds else seat.pairs
    chosen = {
        prompt_id: select_pairs(each, pairs, seat.max_pairs, said.get(prompt_id, {}))
        for prompt_id, each in ids.items()
    }
    if not seat.after:
        return chosen
    heard, spoken = _read_pair_judgments(lake, panel.revisions(lake, seat.after), ids)
    unheard: dict[str, set[Pair]] = chosen if ahead else {prompt_id: set() for prompt_id in ids}
    return {
        prompt_id: {
            pair for pair in each if _is_uncertain(heard.get(prompt_id, {}).get(pair), seat.uncertain)
        }
        if prompt_id in spoken
        else unheard[prompt_id]
        for prompt_id, each in chosen.items()
    }


def _read_pair_judgments(
    lake: Lake, who: Sequence[tuple[str, str]], prompt_ids: Collection[str]
) -> tuple[dict[str, dict[Pair, float | None]], set[str]]:
    """What annotators (name, revision) have said of pairs, by prompt, and the prompts they have said anything about."""
    found: dict[str, dict[Pair, float | None]] = {}
    ends = (min(prompt_ids), max(prompt_ids))
    with lake.bind("panel", make_annotator_table(who)), lake.bind("wanted", _make_prompt_table(list(prompt_ids))):
        lake.rows(read_query("current_judgments"))
        for prompt_id, a, b, p in lake.rows(read_query("judge_said"), ends):
            found.setdefault(prompt_id, {})[a, b] = p
        spoken = {prompt_id for (prompt_id,) in lake.rows(read_query("judge_spoken"), ends)}
    return found, spoken


def _is_uncertain(p: float | None, within: float) -> bool:
    return p is None or abs(p - 0.5) < within


def _is_about_pairs(question: Question, pairs: set[Pair]) -> bool:
    """Whether a question is about one of these pairs, or about a response that is in one."""
    asked = [candidate.response_id for candidate in question.asked]
    if len(asked) == 1:
        return any(asked[0] in pair for pair in pairs)
    return any(pair in pairs for pair in itertools.combinations(sorted(asked), 2))


def make_failure_id(judgment_id: str, attempt: int) -> str:
    """The id of a failed attempt (from 0), which leaves the question's own id free for its answer."""
    return content_id(judgment_id, "failed", attempt)


def _count_attempts(judgment_id: str, failures: Collection[str], attempts: int) -> int:
    """How many attempts are used up: a failure that is permanent is filed as the last one."""
    return max((at + 1 for at in range(attempts) if make_failure_id(judgment_id, at) in failures), default=0)


def make_annotator_table(who: Sequence[tuple[str, str]]) -> pa.Table:
    """Names and revisions, for queries."""
    names, revisions = [name for name, _ in who], [revision for _, revision in who]
    return pa.table(
        {"annotator_id": pa.array(names, pa.string()), "revision": pa.array(revisions, pa.string())}
    )


def _make_prompt_table(prompt_ids: Sequence[str]) -> pa.Table:
    return pa.table({"prompt_id": pa.array(prompt_ids, pa.string())})


def _make_item(
    prompt_id: str,
    messages: list[dict[str, Any]],
    reference: str | None,
    ids: list[str],
    contents: list[list[dict[str, Any]]],
    meta: str | None,
) -> PromptItem:
    turns = tuple(Message.model_validate(message) for message in messages)
    answers = [tuple(Part.model_validate(part) for part in content) for content in contents]
    candidates = tuple(
        CandidateResponse(identity, plain_text(answer), () if _is_text(answer) else answer)
        for identity, answer in zip(ids, answers, strict=True)
    )
    text_only = all(map(_is_text, (*(turn.content for turn in turns), *answers)))
    return PromptItem(prompt_id, turns, reference, candidates, text_only, meta)


def _is_text(content: Sequence[Part]) -> bool:
    return all(part.type == "text" for part in content)
