"""A scalar reward model as a judge: it rates each response once, and pairs follow from the differences.

    - {name: skywork, kind: reward-model, model: Skywork/Skywork-Reward-V2-Qwen3-0.6B}
    - {name: ours, kind: reward-model, model: models/reward}        # trained by `curate train`
    - {name: shared, kind: reward-model, engine: reward}            # an engine of curate.yaml

P(a is better) = σ((score_a − score_b) / temperature), the Bradley–Terry model that reward models are trained as. A
rating's `score` is the raw one (a logit), and its `score_sd` the spread for which that holds. With a `tie_band` pairs
are judged in place of responses; their `score` is that of a minus that of b.

A model that was trained with `forward: joint` scores all responses to a prompt together, and pairs are judged: their
scores are of one pass, while ratings of different passes could not be compared. `order` names the orders of the
responses in which it is asked.

With `contrast: FIELD` each response is also scored for the prompts listed in that field of the prompt's `meta`, which
ask for something else, and its rating is normalised by these scores (TextNorm, `curate.judge.contrast`).

A model that `curate train` made never judges its own training labels: a head on embeddings scores a prompt by the fold
that has not seen it, and so does a fine-tuned backbone with `train.backbone.folds`; without, it abstains but on prompts
that were held out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Self

from pydantic import Field, model_validator

from curate.config.response_order import ORDER_OPTION, ORDER_PATTERN
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.engine.base import Failure, Score
from curate.engine.registry import Engines
from curate.judge.base import (
    Answer,
    Judge,
    JudgeOptions,
    PromptItem,
    Question,
    abstain,
    ask_each_response,
    fail,
    from_probability,
    from_rating,
    sigmoid,
)
from curate.judge.contrast import read_contrasts, score_in_contrast
from curate.judge.registry import judge_kind
from curate.reward.fold_folders import list_fold_folders
from curate.reward.joint_folder import is_joint
from curate.reward.scorer import (
    EngineScorer,
    PromptResponses,
    RewardScorer,
    describe_losses,
    open_reward_model,
    score_with_reasons,
)
from curate.reward.trained_prompts import TrainedPrompts

Scores = dict[tuple[str, str], Score | Failure]
"""By the ids of prompt and response."""

_UNIT_SD = 1.702 / math.sqrt(2.0)
"""Standard deviation of two ratings for which `pairwise_statements` makes P(a) the logistic curve of the difference."""


_TRAINED = (
    "the model was trained on the labels of this prompt: only prompts that `train.backbone.held_out` keeps out of "
    "training are judged (and all, with `train.backbone.folds`)"
)


class RewardModelOptions(JudgeOptions):
    """Options of a scalar reward model."""

    model: str | None = Field(
        None,
        description="Model that `curate train` saved, or a sequence-classification model (folder, pypi:…, hub id).",
    )
    engine: str | None = Field(None, description="Name of an engine that scores, in place of `model`.")
    temperature: float = Field(1.0, gt=0.0, description="Divides the difference of scores.")
    tie_band: float = Field(
        0.0,
        ge=0.0,
        lt=0.5,
        description="|P(a) − ½| up to which the outcome is a tie. Above 0, pairs are judged; otherwise responses are "
        "rated.",
    )

    contrast: str | None = Field(
        None,
        min_length=1,
        description="Field of the prompts' `meta` with a list of prompts that ask for something else: scores are "
        "normalised by those for them (TextNorm), at as many more calls. Without such a list the judge abstains.",
    )
    order: str | None = Field(None, pattern=f"^({ORDER_PATTERN})$", description=ORDER_OPTION)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.model is None) == (self.engine is None):
            raise ValueError("name either a `model` or an `engine`")
        if self.order is not None and self.model is None:
            raise ValueError(
                "`order` is for a `model` of `curate train`: an engine scores each response alone"
            )
        if self.contrast is not None and self.order is not None:
            raise ValueError("`contrast` is for models that score each response alone: leave out `order`")
        return self


@judge_kind("reward-model")
class RewardModelJudge(Judge):
    """A scalar reward model as a judge."""

    kind = "reward-model"
    version = 2  # it rates responses
    Options = RewardModelOptions
    options: RewardModelOptions

    def __init__(self, options: RewardModelOptions, engines: Engines) -> None:
        super().__init__(options, engines)
        where = f"judge.{options.name}"
        self._scorer: RewardScorer
        self._trained = TrainedPrompts()
        self._folds: list[tuple[TrainedPrompts, RewardScorer]] = []
        self._is_joint = options.model is not None and is_joint(engines.folder / options.model)
        if self._is_joint and options.contrast is not None:
            raise CurateError(
                f"{where}: the model {options.model} scores the responses to a prompt in view of each other, and "
                "`contrast` is for models that score each alone: leave it out."
            )
        if options.model is not None:
            self._trained, self._scorer = self._open_model(options.model, options.name)
            self._folds = [
                self._open_model(str(folder), f"{options.name}, {folder.name} of the folds")
                for folder in list_fold_folders(engines.folder / options.model)
            ]
        else:
            assert options.engine is not None  # the options hold one of both
            engine = engines.get(options.engine, where=f"{where}.engine", needs="score")
            self._scorer = EngineScorer(options.name, engine)

    def _open_model(self, model: str, name: str) -> tuple[TrainedPrompts, RewardScorer]:
        scorer = open_reward_model(
            model,
            folder=self.engines.folder,
            name=name,
            engines=self.engines,
            where=f"judge.{self.options.name}",
            order=self.options.order,
        )
        return TrainedPrompts.read(self.engines.folder / model), scorer

    @property
    def identity(self) -> Sequence[object]:
        trained = (content_id(self._trained.digests.hex()),) if self._trained.digests else ()
        return (self._scorer.revision, *trained, *(scorer.revision for _, scorer in self._folds))

    @property
    def sees_images(self) -> bool:
        return self._scorer.sees_images

    @property
    def note(self) -> str:
        scorers = (self._scorer, *(scorer for _, scorer in self._folds))
        return "; ".join(filter(None, map(describe_losses, scorers)))

    def non_identity_options(self) -> frozenset[str]:
        # The weights count, not where they lie; model and order are in the revision of the scorer.
        unset = {"contrast"} if self.options.contrast is None else set()
        return frozenset({"model", "order"} | unset)

    def questions(self, item: PromptItem) -> Iterator[Question]:
        asks_pairs = self.options.tie_band > 0 or self._is_joint
        return super().questions(item) if asks_pairs else ask_each_response(item)

    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        scores: Scores = {}
        for scorer, unseen in self._choose_scorers(questions):
            if self.options.contrast is not None:
                scores |= score_in_contrast(
                    scorer, unseen, self.options.contrast, temperature=self.options.temperature
                )
            elif self._is_joint:
                scores |= self._score_together(scorer, unseen)
            else:
                scores |= self._score_apart(scorer, unseen)
        asked_once = dict.fromkeys(scores, True)  # tokens are paid for once per response, not once per pair
        answers = []
        for question in questions:
            keys = [(question.item.prompt_id, candidate.response_id) for candidate in question.asked]
            if keys[0] not in scores:
                answers.append(abstain(self._explain_silence(question.item)))
                continue
            tokens = sum(
                scored.tokens_in
                for key in keys
                if asked_once.pop(key, False) and isinstance(scored := scores[key], Score)
            )
            if question.form == "pointwise":
                answers.append(self._rate_response(scores[keys[0]], tokens))
            else:
                answers.append(self._compare_scores(scores[keys[0]], scores[keys[1]], tokens))
        return answers

    def _explain_silence(self, item: PromptItem) -> str:
        if self.options.contrast is not None:
            contrasts = read_contrasts(item, self.options.contrast)
            if isinstance(contrasts, str):
                return contrasts
        return _TRAINED

    def _choose_scorers(self, questions: Sequence[Question]) -> Iterator[tuple[RewardScorer, list[Question]]]:
        """Yield each model with its questions: about prompts that it has not seen, and no model before it may judge."""
        rest = list(questions)
        for trained, scorer in ((self._trained, self._scorer), *self._folds):
            unseen = [question for question in rest if question.item.prompt_id not in trained]
            rest = [question for question in rest if question.item.prompt_id in trained]
            if unseen:
                yield scorer, unseen

    def _score_apart(self, scorer: RewardScorer, questions: Sequence[Question]) -> Scores:
        """Score each response in question once."""
        entries = {
            (question.item.prompt_id, candidate.response_id): (question.item, candidate)
            for question in questions
            for candidate in question.asked
        }
        requests = [
            PromptResponses(item.messages, (candidate.messages,), item.prompt_id, item.tools)
            for item, candidate in entries.values()
        ]
        return dict(zip(entries, scorer.score_each(requests), strict=True))

    def _score_together(self, scorer: RewardScorer, questions: Sequence[Question]) -> Scores:
        """Score all responses of each prompt in question together, those that no question is about too."""
        items = {question.item.prompt_id: question.item for question in questions}
        requests = [
            PromptResponses(
                item.messages,
                tuple(candidate.messages for candidate in item.candidates),
                item.prompt_id,
                item.tools,
            )
            for item in items.values()
        ]
        scores: Scores = {}
        for item, results in zip(items.values(), score_with_reasons(scorer, requests), strict=True):
            for candidate, result in zip(item.candidates, results, strict=True):
                scores[item.prompt_id, candidate.response_id] = result
        return scores

    @property
    def _unit(self) -> float:
        """Return what divides the difference of two scores; normalised ones are in units of the temperature."""
        return self.options.temperature if self.options.contrast is None else 1.0

    def _rate_response(self, score: Score | Failure, tokens: int) -> Answer:
        if isinstance(score, Failure):
            return fail(score)
        return from_rating(score.value, sd=_UNIT_SD * self._unit, tokens_in=tokens)

    def _compare_scores(self, a: Score | Failure, b: Score | Failure, tokens: int) -> Answer:
        if isinstance(a, Failure) or isinstance(b, Failure):
            return fail(a if isinstance(a, Failure) else b)  # type: ignore[arg-type]  # one of them is
        if not (math.isfinite(a.value) and math.isfinite(b.value)):
            reason = f"a reward is not a finite number: {a.value} for a, {b.value} for b"
            return fail(Failure(reason), tokens_in=tokens)
        margin = a.value - b.value
        p_a = sigmoid(margin / self._unit)
        return from_probability(p_a, tie=self.options.tie_band, score=round(margin, 6), tokens_in=tokens)
