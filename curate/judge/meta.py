"""A judge of judges: it weighs the judgments of others about a pair by their soundness.

    - {name: smol, kind: pairwise, engine: smol, reasoning: true}
    - {name: review, kind: meta, engine: big}       # after the judges that it reviews

For each pair it reads every judgment (the verdict, and the reasons where there are any) of the judges before it in
curate.yaml and of imported ones, and says whether it is sound. Its own judgment of the pair is their weighted vote,
P(a) = Σ w p / Σ w with w = P(the judgment is sound), one row like any other judge's, so that aggregation learns how far
it can be trusted. `raw` keeps the weights: a list of {judgment_id, annotator_id, weight}. Where nobody has said
anything it abstains, and people's judgments are never shown to it. A judgment that comes later is not reviewed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from curate.engine.base import Choice, Choose, Failure
from curate.engine.delimiter import draw_delimiter
from curate.engine.registry import Engines
from curate.engine.template import ChatTemplate
from curate.judge.base import (
    Answer,
    Judge,
    OtherJudgment,
    Question,
    abstain,
    fail,
    from_probability,
)
from curate.judge.language import ALIKE, DUMMY_ITEM
from curate.judge.registry import judge_kind
from curate.judge.trajectory import JudgedTexts
from curate.judge.view_options import ViewOptions

_P = {"a": 1.0, "b": 0.0, "tie": 0.5}
_ASK = "Is this judgment sound? Say Yes or No."


class MetaOptions(ViewOptions):
    """Options of a judge of the judgments of others."""

    engine: str = Field(description="Name of an engine that can choose.")
    template: str = Field("meta-v1", description="A template of the package, or a .jinja file of your own.")
    persona: str | None = Field(None, description="Role of the judge: “You are …”.")
    principles: tuple[str, ...] = Field((), description="Principles that judgments should follow.")
    reference: bool = Field(False, description="Show the prompt's reference answer, where it has one.")
    tie_band: float = Field(0.0, ge=0.0, lt=0.5, description="|P(a) − ½| up to which the outcome is a tie.")
    min_mass: float = Field(0.01, ge=0.0, le=1.0, description="Least probability of Yes and No together.")


@judge_kind("meta")
class Meta(Judge):
    """A judge that weighs the judgments of others."""

    kind = "meta"
    sees_other_judgments = True
    Options = MetaOptions
    options: MetaOptions

    def __init__(self, options: MetaOptions, engines: Engines) -> None:
        super().__init__(options, engines)
        where = f"judge.{options.name}"
        self._engine = engines.get(options.engine, where=f"{where}.engine", needs="choose")
        self._template = ChatTemplate.load(options.template, folder=engines.folder, where=f"{where}.template")
        self.build_request(
            Question(DUMMY_ITEM, DUMMY_ITEM.candidates),
            OtherJudgment("", "", "a", "b", "ab", "a", rationale="1"),
        )

    @property
    def identity(self) -> Sequence[object]:
        return (self._engine.revision, self._template.text)

    def non_identity_options(self) -> frozenset[str]:
        return frozenset({"template"}) | self.options.list_unchanged_views()

    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        alike = [self._read_texts(question).are_alike for question in questions]
        judgments = [
            [] if are_alike else _select_judgments(question)
            for question, are_alike in zip(questions, alike, strict=True)
        ]
        choices = iter(
            self._engine.choose(
                [
                    self.build_request(question, judgment)
                    for question, other_judgments in zip(questions, judgments, strict=True)
                    for judgment in other_judgments
                ]
            )
        )
        return [
            abstain(ALIKE) if are_alike else self._weigh(group, [next(choices) for _ in group])
            for group, are_alike in zip(judgments, alike, strict=True)
        ]

    def _read_texts(self, question: Question) -> JudgedTexts:
        return question.item.render_texts(question.asked, self.options.view)

    def build_request(self, question: Question, judgment: OtherJudgment) -> Choose:
        """Build the request that asks whether a judgment is sound."""
        item, reasons = question.item, judgment.rationale
        read, shown = self._read_texts(question), item.reference if self.options.reference else None
        # In the order that the other judge saw, since its reasons speak of A and B.
        is_reversed = judgment.shown == "ba"
        first, second = read.responses[::-1] if is_reversed else read.responses
        better = {"a": "B" if is_reversed else "A", "b": "A" if is_reversed else "B"}.get(judgment.outcome)
        verdict = "They are equally good." if better is None else f"{better} is better."
        texts = [read.request, *read.responses, shown or "", reasons or ""]
        delimiter = draw_delimiter(self.engines, item.prompt_id, texts)
        messages, prefill = self._template.render(
            marker=delimiter.word,
            request=read.request,
            reference=shown,
            own=False,
            criteria=None,
            persona=self.options.persona,
            principles=self.options.principles,
            first=first,
            second=second,
            verdict=verdict,
            reasons=reasons,
            ask=_ASK,
        )
        return Choose(messages=messages, choices=("Yes", "No"), prefill=prefill, delimiter=delimiter)

    def _weigh(self, judgments: Sequence[OtherJudgment], choices: Sequence[Choice | Failure]) -> Answer:
        if not judgments:
            return abstain("nobody before it has judged this pair")
        weights = []
        for choice in choices:
            if isinstance(choice, Failure):
                return fail(choice)
            if not math.isfinite(choice.mass):
                return fail(
                    Failure(f"the probability of Yes and No is {choice.mass}, and not a finite number")
                )
            if choice.mass < self.options.min_mass:
                reason = f"Yes and No hold too little of the probability: {choice.mass:.2g}"
                return fail(Failure(reason, permanent=True))
            weights.append(float(choice.probabilities[0]))
        p = [_P[judgment.outcome] if judgment.p_a is None else judgment.p_a for judgment in judgments]
        raw = [
            {
                "judgment_id": judgment.judgment_id,
                "annotator_id": judgment.annotator_id,
                "weight": round(weight, 6),
            }
            for judgment, weight in zip(judgments, weights, strict=True)
        ]
        tokens = sum(choice.tokens_in for choice in choices if isinstance(choice, Choice))
        p_a = float(np.average(p, weights=weights)) if sum(weights) > 0 else 0.5
        return from_probability(p_a, tie=self.options.tie_band, raw=json.dumps(raw), tokens_in=tokens)


def _select_judgments(question: Question) -> list[OtherJudgment]:
    pair = (question.a.response_id, question.b.response_id)
    return [
        judgment
        for judgment in question.item.other_judgments
        if (judgment.response_a, judgment.response_b) == pair
    ]
