"""Pending questions: what a judge still has to be asked about some prompts, by the ids of the judgments in the lake."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curate.config.judge import Pairs
from curate.core.resources import read_query
from curate.data.conversation import has_media, load_messages
from curate.data.judgments import make_failure_id
from curate.judge.base import CandidateResponse, PromptItem, Question
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.selection import Pair, select_pairs
from curate.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class PendingQuestion:
    """A question without an answer, its id, and the number of its failures so far."""

    question: Question
    judgment_id: str
    failures: int


def read_items(lake: Lake, prompt_ids: Sequence[str]) -> list[PromptItem]:
    """Read prompts with all that judges may see, in the order of their ids."""
    with lake.bind("wanted", _make_prompt_table(prompt_ids)):
        rows = lake.rows(read_query("judge_contests"))
    return [_make_item(*row) for row in rows]


def list_items(lake: Lake) -> list[PromptItem]:
    """List all prompts that have pairs, with ids and without texts; questions depend on ids alone."""
    return [
        PromptItem(prompt_id, (), None, tuple(CandidateResponse(response_id, "") for response_id in ids))
        for prompt_id, ids in lake.rows(read_query("judge_candidates"))
    ]


@dataclass(frozen=True, slots=True)
class JudgmentIndex:
    """Ids of a judge's judgments about some neighbouring prompts, answers and failures apart."""

    answered: frozenset[str]
    failures: frozenset[str]

    @classmethod
    def look_up(cls, lake: Lake, configured: ConfiguredJudge, first: str, last: str) -> JudgmentIndex:
        """Read the ids of the judgments about the prompts with ids from `first` to `last`."""
        rows = lake.rows(read_query("judge_known"), (configured.name, configured.revision, first, last))
        return cls(
            frozenset(judgment_id for judgment_id, failed in rows if not failed),
            frozenset(judgment_id for judgment_id, failed in rows if failed),
        )

    def count_attempts(self, judgment_id: str, attempts: int) -> int:
        """Count the attempts at a question that are used up, of `attempts`; an answered one has none left.

        A permanent failure is stored as the last attempt.
        """
        if judgment_id in self.answered:
            return attempts
        if not self.failures:
            return 0
        numbers = range(attempts, 0, -1)
        used = (number for number in numbers if make_failure_id(judgment_id, number - 1) in self.failures)
        return next(used, 0)


def find_pending_questions(
    lake: Lake,
    panel: Panel,
    configured: ConfiguredJudge,
    items: Sequence[PromptItem],
    *,
    upper_bound: bool = False,
) -> Iterator[tuple[list[PendingQuestion], int]]:
    """Find the questions that a judge has not answered yet, item by item.

    A question that has failed `attempts` times is not pending any more.

    Args:
        lake: Lake with the judgments so far.
        panel: Panel that holds the judge.
        configured: The judge.
        items: Prompts in the order of their ids, with the ids of their responses.
        upper_bound: Count all that later rounds, and judges that answer first, can make pending.

    Yields:
        For each item its pending questions, and the number of all its questions.
    """
    if not items:
        return
    known = JudgmentIndex.look_up(lake, configured, items[0].prompt_id, items[-1].prompt_id)
    chosen_pairs = _choose_pairs(lake, panel, configured, items, upper_bound=upper_bound)
    name, revision, attempts = configured.name, configured.revision, configured.attempts
    for item in items:
        pairs = None if chosen_pairs is None else chosen_pairs[item.prompt_id]
        pending, total = list[PendingQuestion](), 0
        for question in configured.judge.questions(item) if pairs is None or pairs else ():
            if pairs is not None and not _is_about_pairs(question, pairs):
                continue
            total += 1
            judgment_id = question.judgment_id(annotator=name, revision=revision)
            if (used := known.count_attempts(judgment_id, attempts)) < attempts:
                pending.append(PendingQuestion(question, judgment_id, used))
        yield pending, total


def _choose_pairs(
    lake: Lake, panel: Panel, configured: ConfiguredJudge, items: Sequence[PromptItem], *, upper_bound: bool
) -> dict[str, set[Pair]] | None:
    """Choose the pairs that a judge is asked about, by prompt; None: all pairs."""
    if configured.pairs == "all" and not configured.after:
        return None
    ids = {item.prompt_id: [candidate.response_id for candidate in item.candidates] for item in items}
    own, _ = (
        _read_pair_judgments(lake, [(configured.name, configured.revision)], ids)
        if configured.asks_in_rounds
        else ({}, set())
    )
    pairs: Pairs = "round-robin" if upper_bound and configured.asks_in_rounds else configured.pairs
    chosen = {
        prompt_id: select_pairs(response_ids, pairs, configured.max_pairs, own.get(prompt_id, {}))
        for prompt_id, response_ids in ids.items()
    }
    if not configured.after:
        return chosen
    earlier, judged_prompts = _read_pair_judgments(lake, panel.list_revisions(lake, configured.after), ids)
    unjudged: dict[str, set[Pair]] = chosen if upper_bound else {prompt_id: set() for prompt_id in ids}
    return {
        prompt_id: {
            pair
            for pair in prompt_pairs
            if _is_uncertain(earlier.get(prompt_id, {}).get(pair), configured.uncertain)
        }
        if prompt_id in judged_prompts
        else unjudged[prompt_id]
        for prompt_id, prompt_pairs in chosen.items()
    }


def _read_pair_judgments(
    lake: Lake, annotators: Sequence[tuple[str, str]], prompt_ids: Collection[str]
) -> tuple[dict[str, dict[Pair, float | None]], set[str]]:
    """Read P(a) of pairs by prompt, averaged over annotators (name, revision), and the prompts that they judged."""
    p_by_prompt: dict[str, dict[Pair, float | None]] = {}
    ends = (min(prompt_ids), max(prompt_ids))
    prompts = _make_prompt_table(list(prompt_ids))
    with lake.bind("panel", make_annotator_table(annotators)), lake.bind("wanted", prompts):
        lake.rows(read_query("current_judgments"))
        for prompt_id, a, b, p in lake.rows(read_query("judge_said"), ends):
            p_by_prompt.setdefault(prompt_id, {})[a, b] = p
        judged_prompts = {prompt_id for (prompt_id,) in lake.rows(read_query("judge_spoken"), ends)}
    return p_by_prompt, judged_prompts


def _is_uncertain(p: float | None, within: float) -> bool:
    return p is None or abs(p - 0.5) < within


def _is_about_pairs(question: Question, pairs: set[Pair]) -> bool:
    """Tell whether a question is about one of these pairs, or about a response in one of them."""
    asked = [candidate.response_id for candidate in question.asked]
    if len(asked) == 1:
        return any(asked[0] in pair for pair in pairs)
    return any(pair in pairs for pair in itertools.combinations(sorted(asked), 2))


def make_annotator_table(annotators: Sequence[tuple[str, str]]) -> pa.Table:
    """Return names and revisions as a table for queries."""
    names, revisions = [name for name, _ in annotators], [revision for _, revision in annotators]
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
    answers: list[list[dict[str, Any]]],
    meta: str | None,
    tools: str | None,
) -> PromptItem:
    turns = load_messages(messages)
    responses = [load_messages(answer) for answer in answers]
    candidates = tuple(
        CandidateResponse.from_messages(response_id, response)
        for response_id, response in zip(ids, responses, strict=True)
    )
    text_only = not any(map(has_media, (turns, *responses)))
    return PromptItem(prompt_id, turns, reference, candidates, text_only, meta, tools=tools)
