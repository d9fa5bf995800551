"""A language model rates each response alone.

    - {name: stars, kind: pointwise, engine: m}                          # 1 to 5, expected over all ratings
    - {name: passes, kind: pointwise, engine: m, binary: true}           # P(yes)
    - name: sides
      kind: pointwise
      engine: m
      aspects: {correct: is everything that it says true?, clear: is it easy to follow?}

The rating is the expectation over the probabilities of all points of the scale, and `score_sd` its standard deviation:
a model that hesitates between 2 and 4 says so (as ordinal probabilistic reward models do, OPRM). `raw` keeps the
distribution. With `aspects`, one call gives a whole number for each as JSON, where the engine can be held to a schema
(then no `score_sd`); else each aspect is a question of its own, with a distribution. The score is their mean.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from curate.engine.base import Choice, Choose, Failure, Generate, Generation
from curate.judge.base import Answer, PromptItem, Question, ask_each_response, fail, from_rating
from curate.judge.json_answer import parse_json_object
from curate.judge.language import DUMMY_ITEM, JudgePrompt, LanguageJudge, LanguageOptions, space_choices
from curate.judge.registry import judge_kind


class PointwiseOptions(LanguageOptions):
    """A language model that rates responses one at a time."""

    template: str = Field(
        "pointwise-v1", description="A template of the package, or a .jinja file of your own."
    )
    scale: tuple[int, int] = Field(
        (1, 5), description="Worst and best rating: digits, so that each is one token."
    )
    binary: bool = Field(False, description="Ask for Yes or No; the rating is P(Yes).")
    aspects: dict[str, str] = Field(
        default_factory=dict, description="What to rate apart: name → question about it."
    )

    @field_validator("scale")
    @classmethod
    def _digits(cls, scale: tuple[int, int]) -> tuple[int, int]:
        if not 0 <= scale[0] < scale[1] <= 9:
            raise ValueError("a scale goes from a digit to a higher digit, such as [1, 5] or [0, 9]")
        return scale

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.binary and self.aspects:
            raise ValueError("either `binary` or `aspects`")
        return self


@judge_kind("pointwise")
class Pointwise(LanguageJudge):
    Options = PointwiseOptions
    options: PointwiseOptions

    def needs(self) -> tuple[Any, ...]:
        if self.options.aspects:
            return ("generate",)
        return ("choose", "generate") if self.writes() else ("choose",)

    def trial(self) -> Question:
        return Question(DUMMY_ITEM, DUMMY_ITEM.candidates[:1], form="pointwise")

    def questions(self, contest: PromptItem) -> Iterator[Question]:
        return ask_each_response(contest, samples=self.options.samples)

    def show(self, question: Question) -> tuple[dict[str, object], list[str]]:
        return {"answer": question.a.text, "ask": self._ask}, [question.a.text]

    @property
    def _ask(self) -> str:
        low, high = self.options.scale
        if self.options.binary:
            return "Is the answer correct and does it do what was asked? Say Yes or No."
        if self.options.aspects:
            listed = "\n".join(f"- {name}: {what}" for name, what in self.options.aspects.items())
            return (
                f"Rate the answer from {low} (worst) to {high} (best) in each of these:\n{listed}\n"
                f"Say a JSON object with the numbers: {json.dumps(dict.fromkeys(self.options.aspects, low))}"
            )
        return f"How good is the answer, from {low} (useless) to {high} (excellent)? Say the number."

    @property
    def _ratings(self) -> dict[str, float]:
        """What may be said, and what it is worth."""
        if self.options.binary:
            return {"Yes": 1.0, "No": 0.0}
        low, high = self.options.scale
        return {str(rating): float(rating) for rating in range(low, high + 1)}

    def decide(self, questions: Sequence[Question], briefs: Sequence[JudgePrompt]) -> Sequence[Answer]:
        if not self.options.aspects:
            return [
                self._rating(brief, choice)
                for brief, choice in zip(briefs, self._choose(briefs), strict=True)
            ]
        if "schema" in self.engine.capabilities:
            return self._by_schema(questions, briefs)
        if "choose" in self.engine.capabilities:
            return self._one_by_one(briefs)
        return self._by_schema(questions, briefs, schema=False)

    def _choose(self, briefs: Sequence[JudgePrompt], *, after: str = "") -> Sequence[Choice | Failure]:
        return self.engine.choose([
            Choose(
                messages=brief.messages,
                choices=space_choices(brief.prefill + after, list(self._ratings)),
                prefill=brief.prefill + after,
            )
            for brief in briefs
        ])  # fmt: skip

    def _rating(self, brief: JudgePrompt, choice: Choice | Failure) -> Answer:
        if isinstance(choice, Failure):
            return fail(choice, **brief.spent())
        spent = brief.spent(choice.tokens_in, choice.tokens_out)
        logs = dict(zip(self._ratings, (round(value, 4) for value in choice.log_probs), strict=True))
        if not math.isfinite(choice.mass):
            return fail(
                Failure("the probability of a rating is not a finite number", json.dumps(logs)), **spent
            )
        if choice.mass < self.options.min_mass:
            reason = f"the ratings hold too little of the probability: {choice.mass:.2g}"
            return fail(Failure(reason, json.dumps(logs), permanent=True), **spent)
        mean, sd, shares = self._expected(choice)
        return from_rating(mean, sd=sd, raw=json.dumps(shares), **spent)

    def _expected(self, choice: Choice) -> tuple[float, float, dict[str, float]]:
        """Mean and standard deviation of the rating, and the probability of each."""
        values, p = np.array(list(self._ratings.values())), choice.probabilities
        mean = float(p @ values)
        sd = float(np.sqrt(p @ (values - mean) ** 2))
        return mean, sd, dict(zip(self._ratings, np.round(p, 6).tolist(), strict=True))

    # Aspects ---------------------------------------------------------------------------------------------

    def _by_schema(
        self, questions: Sequence[Question], briefs: Sequence[JudgePrompt], *, schema: bool = True
    ) -> list[Answer]:
        text = json.dumps(self._schema())
        found = self.engine.generate(
            [
                Generate(
                    messages=brief.messages,
                    prefill=brief.prefill,
                    sampling=self.sampling(question),
                    json_schema=text if schema else None,
                )
                for question, brief in zip(questions, briefs, strict=True)
            ]
        )
        return [self._aspects(brief, each) for brief, each in zip(briefs, found, strict=True)]

    def _schema(self) -> dict[str, Any]:
        low, high = self.options.scale
        rating = {"type": "integer", "enum": list(range(low, high + 1))}
        names = list(self.options.aspects)
        return {
            "type": "object",
            "properties": dict.fromkeys(names, rating),
            "required": names,
            "additionalProperties": False,
        }

    def _aspects(self, brief: JudgePrompt, said: Generation | Failure) -> Answer:
        if isinstance(said, Failure):
            return fail(said, **brief.spent())
        spent, text = brief.spent(said.tokens_in, said.tokens_out), said.completions[0].text
        found = parse_json_object(text)
        if isinstance(found, Failure):
            return fail(found, **spent)
        low, high = self.options.scale
        allowed = range(low, high + 1)
        if set(found) != set(self.options.aspects) or not all(
            type(value) is int and value in allowed for value in found.values()
        ):
            wanted = f"a whole number from {low} to {high} for each of {', '.join(self.options.aspects)}"
            return fail(Failure(f"the JSON does not hold {wanted}", text), **spent)
        return from_rating(sum(found.values()) / len(found), raw=json.dumps(found), **spent)

    def _one_by_one(self, briefs: Sequence[JudgePrompt]) -> list[Answer]:
        """Each aspect as a choice of its own, where the engine cannot be held to a schema."""
        asked = {name: self._choose(briefs, after=f'{{"{name}": ') for name in self.options.aspects}
        return [
            self._joined(brief, {name: found[number] for name, found in asked.items()})
            for number, brief in enumerate(briefs)
        ]

    def _joined(self, brief: JudgePrompt, found: dict[str, Choice | Failure]) -> Answer:
        ratings = {name: self._rating(brief, choice) for name, choice in found.items()}
        for rating in ratings.values():
            if rating.outcome == "failed":
                return rating
        good = [choice for choice in found.values() if isinstance(choice, Choice)]
        each = [self._expected(choice) for choice in good]
        raw = {name: shares for name, (_, _, shares) in zip(found, each, strict=True)}
        # The aspects are taken for independent: a hesitation in one says nothing about the others.
        sd = sum(sd**2 for _, sd, _ in each) ** 0.5 / len(each)
        tokens = sum(choice.tokens_in for choice in good), sum(choice.tokens_out for choice in good)
        return from_rating(
            sum(mean for mean, _, _ in each) / len(each), sd=sd, raw=json.dumps(raw), **brief.spent(*tokens)
        )
