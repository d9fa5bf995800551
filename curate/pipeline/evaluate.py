"""Who is evaluated: the reward models and judges that `evaluate:` names, opened, and handed to the stage."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curate.config.project import Config
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.evaluate.benchmark import BenchmarkItem
from curate.evaluate.verdicts import ItemVerdict, ModelSubject, Subject
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.reward.scorer import make_chat, open_reward_model

if TYPE_CHECKING:
    from curate.judge.base import Answer, PromptItem, Question
    from curate.judge.configured import ConfiguredJudge


def evaluate_project(lake: Lake, config: Config, *, track: Track = no_progress) -> Summary:
    """The stage `evaluate` with the models and judges of the configuration."""
    from curate.evaluate import evaluate_benchmarks

    with open_subjects(config) as found:
        return evaluate_benchmarks(lake, config, subjects=found, track=track)


@contextlib.contextmanager
def open_subjects(config: Config, folder: Path | None = None) -> Iterator[list[Subject]]:
    """The reward models (by default the trained one) and judges of `config.evaluate`, if any benchmark asks for them.

    Relative paths of models start at `folder`; default: that of the configuration.
    """
    section, folder = config.evaluate, folder or config.resolve(".")
    if all(benchmark.format == "lake" for benchmark in section.benchmarks):
        yield []
        return
    models = section.models
    if not models and not section.judges and config.train and config.resolve(config.train.path).is_dir():
        models = [config.train.path]
    workspace = config.resolve(config.workspace)
    cache = workspace / "embeddings" if workspace.is_dir() else None
    images = config.image_access(folder)
    found: list[Subject] = [
        ModelSubject(open_reward_model(each, folder=folder, cache=cache, images=images)) for each in models
    ]
    if not section.judges:
        yield found
        return
    from curate.judge.configured import Panel

    with Panel(config, only=section.judges) as panel:
        yield [*found, *(JudgeSubject(seat) for seat in panel.judges.values())]


_BATCH = 16  # items between two steps of the progress bar


@dataclass(frozen=True, slots=True)
class JudgeSubject:
    """A judge of the panel, asked as it is asked about the lake: in both orders, if order matters to it."""

    seat: ConfiguredJudge

    @property
    def name(self) -> str:
        return self.seat.name

    @property
    def revision(self) -> str:
        return self.seat.revision

    def judge_items(self, items: Sequence[BenchmarkItem], *, track: Track) -> list[ItemVerdict]:
        found = []
        with track(f"judge {self.name}", len(items)) as advance:
            for start in range(0, len(items), _BATCH):
                batch = items[start : start + _BATCH]
                found += self._opinions(batch)
                advance(len(batch))
        return found

    def _opinions(self, items: Sequence[BenchmarkItem]) -> list[ItemVerdict]:
        from curate.judge.runner import run_judge

        contests = [_build_prompt_item(item) for item in items]
        asked = [
            (row, q) for row, (contest, _) in enumerate(contests) for q in self.seat.judge.questions(contest)
        ]
        answers = run_judge(self.seat, [question for _, question in asked])
        said: list[list[tuple[Question, Answer]]] = [[] for _ in items]
        for (row, question), answer in zip(asked, answers, strict=True):
            said[row].append((question, answer))
        return [_combine_answers(places, each) for (_, places), each in zip(contests, said, strict=True)]


def _build_prompt_item(item: BenchmarkItem) -> tuple[PromptItem, dict[str, int]]:
    """The item as judges see it, and the place of each response id in it."""
    from curate.judge.base import CandidateResponse, PromptItem

    prompt = content_id("benchmark", item.context)
    candidates = [
        CandidateResponse(content_id(prompt, place, text), text) for place, text in enumerate(item.responses)
    ]
    places = {each.response_id: place for place, each in enumerate(candidates)}
    ordered = tuple(sorted(candidates, key=lambda each: each.response_id))
    return PromptItem(prompt, make_chat(item.context, "")[:-1], None, ordered), places


def _combine_answers(places: dict[str, int], said: Sequence[tuple[Question, Answer]]) -> ItemVerdict:
    """Probabilities are averaged over orders and samples; a verdict without one is 1, 0 or ½.

    Scores are a response's mean probability against all others (ratings, where the judge rates).
    """
    count = len(places)
    total, number = np.zeros((2, count, count))
    ratings: list[list[float]] = [[] for _ in range(count)]
    for question, answer in said:
        if answer.outcome in ("failed", "abstain"):
            continue
        at = [places[each.response_id] for each in question.asked]
        if question.form == "pointwise":
            if answer.score is not None:
                ratings[at[0]].append(answer.score)
            continue
        for i, j, better in _iterate_statements(question, answer, places, at):
            total[i, j], total[j, i] = total[i, j] + better, total[j, i] + 1 - better
            number[i, j], number[j, i] = number[i, j] + 1, number[j, i] + 1
    if any(ratings):
        return ItemVerdict(np.array([np.mean(each) if each else np.nan for each in ratings]))
    with np.errstate(invalid="ignore"):
        p = total / number
        beaten = np.where(number > 0, p, 0.0).sum(axis=1) / (number > 0).sum(axis=1)
    return ItemVerdict(beaten, p)


def _iterate_statements(
    question: Question, answer: Answer, places: dict[str, int], at: Sequence[int]
) -> Iterator[tuple[int, int, float]]:
    """(i, j, probability that i is better) for every pair that an answer speaks of."""
    if question.form == "pairwise":
        verdict = {"a": 1.0, "b": 0.0}.get(answer.outcome, 0.5)
        yield at[0], at[1], verdict if answer.p_a is None else answer.p_a
        return
    if answer.scores is not None:
        order = dict(zip(at, answer.scores, strict=True))
    else:
        order = {places[each]: -float(rank) for rank, each in enumerate(answer.ranking or ())}
    for i in order:
        for j in order:
            if i < j:
                yield i, j, 0.5 + 0.5 * float(np.sign(order[i] - order[j]))
