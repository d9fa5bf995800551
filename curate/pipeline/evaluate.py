"""The stage `evaluate` with the reward models and judges that the section `evaluate` of curate.yaml names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.data.conversation import has_media, identify_answer, identify_turns
from curate.data.judgments import JudgmentStatement
from curate.data.pair_statements import list_pair_statements
from curate.evaluate.benchmark import BenchmarkItem
from curate.evaluate.verdicts import ItemVerdict, ModelSubject, Subject
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.reward.joint_folder import is_joint
from curate.reward.scorer import open_reward_model

if TYPE_CHECKING:
    from curate.judge.base import PromptItem
    from curate.judge.configured import ConfiguredJudge


def evaluate_project(lake: Lake, config: Config, *, track: Track = no_progress) -> Summary:
    """Run the stage `evaluate` with the models and judges of the configuration."""
    from curate.evaluate import evaluate_benchmarks

    with open_subjects(config) as subjects:
        return evaluate_benchmarks(lake, config, subjects=subjects, track=track)


@contextlib.contextmanager
def open_subjects(config: Config, folder: Path | None = None) -> Iterator[list[Subject]]:
    """Open the reward models (by default the trained one) and judges of `config.evaluate`, if a benchmark needs them.

    Relative paths of models start at `folder`; default: the folder of the configuration.
    """
    section, folder = config.evaluate, folder or config.resolve(".")
    if all(benchmark.format == "lake" for benchmark in section.benchmarks):
        yield []
        return
    models = section.models
    if not models and not section.judges and config.train and config.resolve(config.train.path).is_dir():
        models = [config.train.path]
    if section.order is not None and not any(is_joint(folder / model) for model in models):
        raise CurateError(
            f"evaluate.order is {section.order}, and no model of `evaluate` was trained with `forward: joint`: leave "
            "it out."
        )
    workspace = config.resolve(config.workspace)
    cache = workspace / "embeddings" if workspace.is_dir() else None
    images = config.image_access(folder)
    models_opened: list[Subject] = [
        ModelSubject(
            open_reward_model(
                model,
                folder=folder,
                cache=cache,
                images=images,
                order=section.order if is_joint(folder / model) else None,
            )
        )
        for model in models
    ]
    if not section.judges:
        yield models_opened
        return
    from curate.judge.configured import Panel

    with Panel(config, only=section.judges) as panel:
        yield [*models_opened, *(JudgeSubject(judge) for judge in panel.judges.values())]


_BATCH = 16  # items between two steps of the progress bar
_RATING_RULE = (
    "by sample"  # another rule is another revision, so that scores in the lake are not taken for its own
)


@dataclass(frozen=True, slots=True)
class JudgeSubject:
    """A judge of the panel; it is asked as in the stage `judge`, in both orders if order matters to it."""

    judge: ConfiguredJudge

    @property
    def name(self) -> str:
        return self.judge.name

    @property
    def revision(self) -> str:
        """Identify the judge, and the rule by which its ratings are compared if it rates."""
        from curate.judge.language import DUMMY_ITEM

        is_rating = any(question.form == "pointwise" for question in self.judge.judge.questions(DUMMY_ITEM))
        return content_id(self.judge.revision, _RATING_RULE) if is_rating else self.judge.revision

    @property
    def note(self) -> str:
        return self.judge.judge.note

    def judge_items(self, items: Sequence[BenchmarkItem], *, track: Track) -> list[ItemVerdict]:
        verdicts: list[ItemVerdict] = []
        with track(f"judge {self.name}", len(items)) as advance:
            for start in range(0, len(items), _BATCH):
                batch = items[start : start + _BATCH]
                verdicts += self._judge_batch(batch)
                advance(len(batch))
        return verdicts

    def _judge_batch(self, items: Sequence[BenchmarkItem]) -> list[ItemVerdict]:
        from curate.judge.judgment_rows import make_statement
        from curate.judge.runner import run_judge

        prompts = [_build_prompt_item(item) for item in items]
        asked = [
            (row, q) for row, (prompt, _) in enumerate(prompts) for q in self.judge.judge.questions(prompt)
        ]
        answers = run_judge(self.judge, [question for _, question in asked])
        judgments: list[list[JudgmentStatement]] = [[] for _ in items]
        for (row, question), answer in zip(asked, answers, strict=True):
            judgments[row].append(make_statement(self.judge, question, answer))
        return [
            _combine_judgments(places, judgments_of_item)
            for (_, places), judgments_of_item in zip(prompts, judgments, strict=True)
        ]


def _build_prompt_item(item: BenchmarkItem) -> tuple[PromptItem, dict[str, int]]:
    """Build the item as judges see it, and the position of each response id in it."""
    from curate.judge.base import CandidateResponse, PromptItem

    identity = ["benchmark", identify_turns(item.context)]
    prompt = content_id(*identity) if item.tools is None else content_id(*identity, item.tools)
    candidates = [
        CandidateResponse.from_messages(content_id(prompt, place, identify_answer(answer)), answer)
        for place, answer in enumerate(item.responses)
    ]
    places = {candidate.response_id: place for place, candidate in enumerate(candidates)}
    ordered = tuple(sorted(candidates, key=lambda candidate: candidate.response_id))
    text_only = not any(map(has_media, (item.context, *item.responses)))
    return PromptItem(prompt, item.context, None, ordered, text_only, tools=item.tools), places


def _combine_judgments(places: dict[str, int], judgments: Sequence[JudgmentStatement]) -> ItemVerdict:
    """Average what a judge says about each pair, over orders and samples; a verdict without a probability is 1, 0 or ½.

    What ratings and lists say about pairs is what aggregation takes them to say. The score of a response is its mean
    rating if the judge rates, else its mean probability against all others.
    """
    total, number = np.zeros((2, len(places), len(places)))
    for statement in list_pair_statements(judgments):
        i, j, better = places[statement.a], places[statement.b], statement.probability
        if better is not None:
            total[i, j], total[j, i] = total[i, j] + better, total[j, i] + 1 - better
            number[i, j], number[j, i] = number[i, j] + 1, number[j, i] + 1
    with np.errstate(invalid="ignore"):
        p = total / number
        beaten = np.where(number > 0, p, 0.0).sum(axis=1) / (number > 0).sum(axis=1)
    ratings = _average_ratings(places, judgments)
    return ItemVerdict(beaten if np.isnan(ratings).all() else ratings, p)


def _average_ratings(places: dict[str, int], judgments: Sequence[JudgmentStatement]) -> NDArray[np.float64]:
    """Return float64[N], the mean rating of each response; NaN where it has none."""
    ratings: list[list[float]] = [[] for _ in places]
    for judgment in judgments:
        if (
            judgment.form == "pointwise"
            and judgment.outcome not in ("abstain", "failed")
            and judgment.score is not None
        ):
            ratings[places[judgment.responses[0]]].append(judgment.score)
    return np.array([np.mean(values) if values else np.nan for values in ratings], np.float64)
