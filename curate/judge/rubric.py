"""A judge by a rubric: each criterion is held against each response, and the score is what the criteria weigh together.

    - {name: helpful, kind: rubric, engine: m, rubric: rubrics/helpful.yaml}
    - {name: own, kind: rubric, engine: m, rubric: {meta: criteria}}        # each prompt's own, from its `meta`
    - {name: measured, kind: rubric, rubric: rubrics/features.yaml}         # criteria that are features need no model

One judgment per response: `score` is the weighted share of satisfied criteria (`Rubric.score`), `score_sd` its spread
where the engine gives probabilities, so that two responses make a vote with a probability; `raw` has the criteria one
by one. Each verdict is a row of `criterion_verdicts` too. A verdict depends on the criterion's sentence and not on the
rubric around it: with a rubric that was edited, the judge's revision is another, and the judge asks about the criteria
that are new. One criterion without a verdict makes a failed judgment, never a score without it. Where the engine reads
images, those of the prompt and the response stand in the question, and a video as some of its frames; features measure
the words alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Self

from pydantic import Field, model_validator

from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.data.features import FEATURES, Feature, FeatureItem
from curate.data.features import TextView as FeatureText
from curate.data.preference_pairs import get_question
from curate.data.rubric import Criterion, Rubric
from curate.engine.base import Failure
from curate.engine.registry import Engines
from curate.engine.template import ChatTemplate
from curate.judge.base import (
    Answer,
    Judge,
    PromptItem,
    Question,
    abstain,
    ask_each_response,
    fail,
    from_rating,
)
from curate.judge.criteria import CriteriaAsker, CriteriaBatch
from curate.judge.criterion_answer import MEASURED, CriterionAnswer, VerdictOutcome
from curate.judge.media_marks import DEAF, MediaMarks, has_sound, identify_seeing, render_marked_texts
from curate.judge.registry import judge_kind
from curate.judge.rubric_source import RubricChoice, RubricSource
from curate.judge.view_options import SeeingOptions
from curate.records import verdict_id


class RubricOptions(SeeingOptions):
    """Options of a judge by a rubric."""

    rubric: RubricChoice = Field(
        description="A rubric's file, a folder of rubrics for single prompts, or {meta: ENTRY of each prompt's `meta`}."
    )
    engine: str | None = Field(
        None, description="Name of an engine; none is needed where all criteria are features."
    )
    ask: Literal["auto", "probability", "json"] = Field(
        "auto",
        description="probability: P(Yes), one request a criterion. json: yes or no for up to `batch` criteria a "
        "request. auto: probability, where the engine gives any.",
    )
    batch: int = Field(8, ge=1, description="Criteria of a request, with json.")
    reasons: bool = Field(False, description="A reason before each verdict; needs json.")
    template: str = Field("rubric-v1", description="A template of the package, or a .jinja file of your own.")
    persona: str | None = Field(None, description="Role of the judge: “You are …”.")
    reference: bool = Field(False, description="Show the prompt's reference answer, where it has one.")
    max_tokens: int = Field(1024, ge=1, description="Longest JSON, in tokens.")
    min_mass: float = Field(0.01, ge=0.0, le=1.0, description="Least probability of Yes and No together.")

    @model_validator(mode="after")
    def _reasons_are_json(self) -> Self:
        if self.reasons and self.ask == "probability":
            raise ValueError("`reasons: true` needs `ask: json`: a probability has no reason")
        return self


@judge_kind("rubric")
class RubricJudge(Judge):
    """A judge that holds each response against the criteria of a rubric."""

    keeps_verdicts = True
    Options = RubricOptions
    options: RubricOptions

    def __init__(self, options: RubricOptions, engines: Engines) -> None:
        super().__init__(options, engines)
        where = f"judge.{options.name}"
        self._source = RubricSource.load(options.rubric, folder=engines.folder, where=f"{where}.rubric")
        sentences = [
            criterion.name
            for rubric in self._source.rubrics
            for criterion in rubric.criteria
            if criterion.kind != "feature"
        ]
        if options.engine is None and (sentences or self._source.meta):
            what = f"the criterion {sentences[0]!r}" if sentences else "criteria of prompts"
            raise CurateError(f"`{where}` needs an `engine`, since {what} is read by a model.")
        self._marks = MediaMarks(engines.images, options.sampling)
        self._features: dict[str, tuple[Feature, str]] = {}
        for rubric in self._source.rubrics:
            self._open_features(rubric)
        self._asker = None if options.engine is None else self._open_asker(options.engine, where)
        if self._asker is None:
            self.kind = "rule"  # type: ignore[misc]  # no model has a say

    def _open_asker(self, name: str, where: str) -> CriteriaAsker:
        options, engines = self.options, self.engines
        engine = engines.get(name, where=f"{where}.engine")
        by_probability = options.ask == "probability" or (
            options.ask == "auto" and not options.reasons and "choose" in engine.capabilities
        )
        engines.get(name, where=f"{where}.engine", needs="choose" if by_probability else "generate")
        view, sees = options.view, "images" in engine.capabilities
        return CriteriaAsker(
            annotator=options.name,
            engine=engine,
            engines=engines,
            template=ChatTemplate.load(options.template, folder=engines.folder, where=f"{where}.template"),
            by_probability=by_probability,
            batch=options.batch,
            reasons=options.reasons,
            persona=options.persona,
            reference=options.reference,
            max_tokens=options.max_tokens,
            min_mass=options.min_mass,
            view=(
                *(view.show_reasoning, view.show_calls, view.whole),
                *(identify_seeing(options.sampling) if sees else ()),
            ),
            marks=self._marks if sees else None,
        )

    def _open_features(self, rubric: Rubric) -> None:
        for criterion in rubric.criteria:
            name = criterion.feature
            if name is not None and name not in self._features:
                where = f"the feature of criterion {criterion.name}"
                part = FEATURES.find(name, where=where, folder=self.engines.folder)
                self._features[name] = part.type(), part.code

    @property
    def identity(self) -> Sequence[object]:
        asking = () if self._asker is None else self._asker.identify_asking()
        codes = sorted((name, code) for name, (_, code) in self._features.items() if code)
        return (*self._source.identity, *asking, *codes)

    def non_identity_options(self) -> frozenset[str]:
        """Return the options whose meaning is in `identity`; `batch` changes nothing where each criterion is alone."""
        alone = {"batch"} if self._asker is None or self._asker.by_probability else set()
        return frozenset({"rubric", "template", "ask", "frames", "fps", *alone})

    @property
    def sees_images(self) -> bool:
        return self._asker is not None and self._asker.marks is not None

    def questions(self, item: PromptItem) -> Iterator[Question]:
        return ask_each_response(item)

    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        self._marks.clear()
        heard = [question for question in questions if not has_sound(question)]
        answers = iter(self._hold_against_criteria(heard))
        return [abstain(DEAF) if has_sound(question) else next(answers) for question in questions]

    def _hold_against_criteria(self, questions: Sequence[Question]) -> Sequence[Answer]:
        rubrics = [self._source.find_rubric(question.item) for question in questions]
        measured = {
            number: self._measure_features(question, rubric)
            for number, (question, rubric) in enumerate(zip(questions, rubrics, strict=True))
            if isinstance(rubric, Rubric)
        }
        batches = {
            number: list(self._cut_batches(question, rubric))
            for number, (question, rubric) in enumerate(zip(questions, rubrics, strict=True))
            if isinstance(rubric, Rubric)
        }
        known = self._find_known(questions)
        pending = [
            (number, batch)
            for number, cut in batches.items()
            for batch in cut
            if self._asker is not None and not known.keys() >= set(self._asker.list_verdict_ids(batch))
        ]
        asked = [] if self._asker is None else self._asker.ask([batch for _, batch in pending])
        for (number, _), verdicts in zip(pending, asked, strict=True):
            measured[number] += verdicts
        return [
            self._sum_up(rubric, batches.get(number, []), measured.get(number, []), known)
            for number, rubric in enumerate(rubrics)
        ]

    def _cut_batches(self, question: Question, rubric: Rubric) -> Iterator[CriteriaBatch]:
        sentences = [criterion for criterion in rubric.criteria if criterion.kind != "feature"]
        if self._asker is not None and sentences:
            texts = (
                render_marked_texts(question.item, question.asked, self.options.view, self._marks)
                if self.sees_images
                else question.item.render_texts(question.asked, self.options.view)
            )
            yield from self._asker.cut_batches(question, texts, sentences)

    def _measure_features(self, question: Question, rubric: Rubric) -> list[CriterionAnswer]:
        """Return what is measured of a response: no model is asked, so it is measured each time."""
        self._open_features(rubric)
        measured = [criterion for criterion in rubric.criteria if criterion.feature is not None]
        if not measured:
            return []
        item, response = question.item, question.a
        reference = None if item.reference is None else FeatureText(item.reference)
        seen = FeatureItem(
            FeatureText(get_question(item.messages)), FeatureText(response.spoken_text), reference
        )
        return [self._measure_feature(criterion, seen, response.response_id) for criterion in measured]

    def _measure_feature(self, criterion: Criterion, item: FeatureItem, response_id: str) -> CriterionAnswer:
        feature, code = self._features[criterion.feature or ""]
        value, problem = None, None
        try:
            value = feature.measure(item)
            if value is not None and not math.isfinite(value):
                value, problem = None, f"the feature {criterion.feature} is no finite number"
        except Exception as error:  # of a user's own: one response that it cannot measure is one failure
            problem = f"the feature {criterion.feature} failed: {type(error).__name__}: {error}"
        outcome: VerdictOutcome = "satisfied" if value is not None and value > 0 else "violated"
        return CriterionAnswer(
            verdict_id=verdict_id(
                criterion=content_id(criterion.criterion_id, code),
                response=response_id,
                annotator=self.options.name,
                revision=MEASURED,
            ),
            criterion_id=criterion.criterion_id,
            criterion=criterion.name,
            response_id=response_id,
            revision=MEASURED,
            outcome="failed" if problem else "abstain" if value is None else outcome,
            value=value,
            raw=problem,
            permanent=True,
        )

    def _find_known(self, questions: Sequence[Question]) -> Mapping[str, CriterionAnswer]:
        items = {question.item.prompt_id: question.item for question in questions}
        return {verdict.verdict_id: verdict for item in items.values() for verdict in item.known_verdicts}

    def _sum_up(
        self,
        rubric: Rubric | Failure | None,
        batches: Sequence[CriteriaBatch],
        given: Sequence[CriterionAnswer],
        known: Mapping[str, CriterionAnswer],
    ) -> Answer:
        """Make the judgment of a response from the verdicts on its criteria."""
        if rubric is None:
            return abstain("the prompt has no rubric")
        if isinstance(rubric, Failure):
            return fail(rubric)
        now = {verdict.verdict_id: verdict for verdict in given}
        verdicts = {verdict.criterion: verdict for verdict in given if verdict.revision == MEASURED}
        for batch in batches:
            assert self._asker is not None  # which has cut the batches
            for criterion, identity in zip(batch.criteria, self._asker.list_verdict_ids(batch), strict=True):
                verdicts[criterion.name] = now.get(identity) or known[identity]
        return replace(_make_answer(rubric, verdicts, tuple(given)), rubric=rubric)


def _make_answer(
    rubric: Rubric, verdicts: Mapping[str, CriterionAnswer], given: tuple[CriterionAnswer, ...]
) -> Answer:
    tokens_in = sum(verdict.tokens_in for verdict in given)
    tokens_out = sum(verdict.tokens_out for verdict in given)
    failed = [(name, verdict) for name, verdict in verdicts.items() if verdict.outcome == "failed"]
    if failed:
        name, first = failed[0]
        reason, _, rest = (first.raw or "failed").partition("\n")
        failure = Failure(
            reason, f"criterion {name}\n{rest}".rstrip(), all(verdict.permanent for _, verdict in failed)
        )
        return fail(failure, tokens_in=tokens_in, tokens_out=tokens_out, verdicts=given)
    values = {name: verdict.satisfaction for name, verdict in verdicts.items()}
    counted = {name: value for name, value in values.items() if value is not None}
    fields = {"tokens_in": tokens_in, "tokens_out": tokens_out, "verdicts": given}
    score = rubric.score(counted)
    if score is None:
        return abstain("no criterion of the rubric says anything of this response", **fields)
    reasons = [f"{name}: {verdict.rationale}" for name, verdict in verdicts.items() if verdict.rationale]
    return from_rating(
        score,
        sd=_measure_spread(rubric.criteria, verdicts),
        raw=json.dumps({name: round(value, 6) for name, value in counted.items()}),
        rationale="\n".join(reasons) or None,
        **fields,
    )


def _measure_spread(criteria: Sequence[Criterion], verdicts: Mapping[str, CriterionAnswer]) -> float | None:
    """Return the standard deviation of the score, criteria taken for independent; None without probabilities."""
    weights = {criterion.name: criterion.weight for criterion in criteria}
    mass = sum(abs(weights[name]) for name, verdict in verdicts.items() if verdict.satisfaction is not None)
    chances = [
        (weights[name], verdict.p_satisfied)
        for name, verdict in verdicts.items()
        if verdict.p_satisfied is not None
    ]
    if not chances or not mass:
        return None
    return math.sqrt(sum((weight / mass) ** 2 * p * (1 - p) for weight, p in chances))
