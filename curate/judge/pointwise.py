"""A language model rates each response alone.

    - {name: stars, kind: pointwise, engine: m}                          # 1 to 5, expected over all ratings
    - {name: passes, kind: pointwise, engine: m, binary: true}           # P(yes)
    - name: sides
      kind: pointwise
      engine: m
      aspects: {correct: "is everything that it says true?", clear: "is it easy to follow?"}

The rating is the expectation over the probabilities of all points of the scale, and `score_sd` its standard deviation:
a model that hesitates between 2 and 4 says so (as ordinal probabilistic reward models do, OPRM). `raw` keeps the
distribution. With `aspects`, one call gives a whole number for each as JSON, where the engine can be held to a schema
(then no `score_sd`); else each aspect is a question of its own, with a distribution. The score is their mean, and each
aspect's rating is a judgment about that aspect too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from curate.engine.base import Choice, Choose, Failure, Generate, Generation
from curate.engine.json_answer import build_object_schema, parse_json_object
from curate.judge.base import (
    Answer,
    AspectRating,
    PromptItem,
    Question,
    ask_each_response,
    fail,
    from_rating,
)
from curate.judge.language import DUMMY_ITEM, JudgePrompt, LanguageJudge, LanguageOptions, space_choices
from curate.judge.registry import judge_kind


class PointwiseOptions(LanguageOptions):
    """Options of a language model that rates responses one at a time."""

    template: str = Field(
        "pointwise-v1", description="A template of the package, or a .jinja file of your own."
    )
    scale: tuple[int, int] = Field(
        (1, 5), description="Worst and best rating: digits, so that each is one token."
    )
    binary: bool = Field(False, description="Ask for Yes or No; the rating is P(Yes).")
    aspects: dict[str, str] = Field(
        default_factory=dict, description="Aspects to rate one by one: name → question about it."
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
        if not all(name.strip() for name in self.aspects):
            raise ValueError("an aspect needs a name")
        return self


@judge_kind("pointwise")
class Pointwise(LanguageJudge):
    """A language model that rates each response by itself."""

    Options = PointwiseOptions
    options: PointwiseOptions

    def list_needs(self) -> tuple[Any, ...]:
        if self.options.aspects:
            return ("generate",)
        return ("choose", "generate") if self.generates_text() else ("choose",)

    def make_dummy_question(self) -> Question:
        return Question(DUMMY_ITEM, DUMMY_ITEM.candidates[:1], form="pointwise")

    def questions(self, item: PromptItem) -> Iterator[Question]:
        return ask_each_response(item, samples=self.options.samples)

    def get_values(self, question: Question) -> tuple[dict[str, object], list[str]]:
        (text,) = self.read_texts(question).responses
        return {"answer": text, "ask": self._instruction}, [text]

    @property
    def _instruction(self) -> str:
        low, high = self.options.scale
        if self.options.binary:
            return "Is the answer correct and does it do what was asked? Say Yes or No."
        if self.options.aspects:
            listed = "\n".join(f"- {name}: {question}" for name, question in self.options.aspects.items())
            return (
                f"Rate the answer from {low} (worst) to {high} (best) in each of these:\n{listed}\n"
                f"Say a JSON object with the numbers: {json.dumps(dict.fromkeys(self.options.aspects, low))}"
            )
        return f"How good is the answer, from {low} (useless) to {high} (excellent)? Say the number."

    @property
    def _rating_values(self) -> dict[str, float]:
        """Possible verdicts with their ratings."""
        if self.options.binary:
            return {"Yes": 1.0, "No": 0.0}
        low, high = self.options.scale
        return {str(rating): float(rating) for rating in range(low, high + 1)}

    def ask_verdicts(self, questions: Sequence[Question], prompts: Sequence[JudgePrompt]) -> Sequence[Answer]:
        if not self.options.aspects:
            return [
                self._read_rating(prompt, choice)
                for prompt, choice in zip(prompts, self._ask_choices(prompts), strict=True)
            ]
        if "schema" in self.engine.capabilities:
            return self._ask_by_schema(questions, prompts)
        if "choose" in self.engine.capabilities:
            return self._ask_one_by_one(prompts)
        return self._ask_by_schema(questions, prompts, schema=False)

    def _ask_choices(self, prompts: Sequence[JudgePrompt], *, after: str = "") -> Sequence[Choice | Failure]:
        return self.engine.choose([
            Choose(
                messages=prompt.messages,
                choices=space_choices(prompt.prefill + after, list(self._rating_values)),
                prefill=prompt.prefill + after,
                delimiter=prompt.delimiter,
            )
            for prompt in prompts
        ])  # fmt: skip

    def _read_rating(self, prompt: JudgePrompt, choice: Choice | Failure) -> Answer:
        if isinstance(choice, Failure):
            return fail(choice, **prompt.make_answer_fields())
        fields = prompt.make_answer_fields(choice.tokens_in, choice.tokens_out)
        logs = dict(zip(self._rating_values, (round(value, 4) for value in choice.log_probs), strict=True))
        if not math.isfinite(choice.mass):
            return fail(
                Failure("the probability of a rating is not a finite number", json.dumps(logs)), **fields
            )
        if choice.mass < self.options.min_mass:
            reason = f"the ratings hold too little of the probability: {choice.mass:.2g}"
            return fail(Failure(reason, json.dumps(logs), permanent=True), **fields)
        mean, sd, shares = self._compute_moments(choice)
        return from_rating(mean, sd=sd, raw=json.dumps(shares), **fields)

    def _compute_moments(self, choice: Choice) -> tuple[float, float, dict[str, float]]:
        """Return mean and standard deviation of the rating, and the probability of each value."""
        values, p = np.array(list(self._rating_values.values())), choice.probabilities
        mean = float(p @ values)
        sd = float(np.sqrt(p @ (values - mean) ** 2))
        return mean, sd, dict(zip(self._rating_values, np.round(p, 6).tolist(), strict=True))

    # Aspects ---------------------------------------------------------------------------------------------

    def _ask_by_schema(
        self, questions: Sequence[Question], prompts: Sequence[JudgePrompt], *, schema: bool = True
    ) -> list[Answer]:
        text = json.dumps(self._build_schema())
        outputs = self.engine.generate(
            [
                Generate(
                    messages=prompt.messages,
                    prefill=prompt.prefill,
                    delimiter=prompt.delimiter,
                    sampling=self.make_sampling(question),
                    json_schema=text if schema else None,
                )
                for question, prompt in zip(questions, prompts, strict=True)
            ]
        )
        return [self._read_aspects(prompt, output) for prompt, output in zip(prompts, outputs, strict=True)]

    def _build_schema(self) -> dict[str, Any]:
        low, high = self.options.scale
        rating = {"type": "integer", "enum": list(range(low, high + 1))}
        return build_object_schema(dict.fromkeys(self.options.aspects, rating))

    def _read_aspects(self, prompt: JudgePrompt, output: Generation | Failure) -> Answer:
        if isinstance(output, Failure):
            return fail(output, **prompt.make_answer_fields())
        fields, text = (
            prompt.make_answer_fields(output.tokens_in, output.tokens_out),
            output.completions[0].text,
        )
        value = parse_json_object(text)
        if isinstance(value, Failure):
            return fail(value, **fields)
        low, high = self.options.scale
        allowed = range(low, high + 1)
        if set(value) != set(self.options.aspects) or not all(
            type(rating) is int and rating in allowed for rating in value.values()
        ):
            wanted = f"a whole number from {low} to {high} for each of {', '.join(self.options.aspects)}"
            return fail(Failure(f"the JSON does not hold {wanted}", text), **fields)
        ratings = tuple(AspectRating(name, float(value[name])) for name in self.options.aspects)
        mean = sum(value.values()) / len(value)
        return from_rating(mean, raw=json.dumps(value), aspects=ratings, **fields)

    def _ask_one_by_one(self, prompts: Sequence[JudgePrompt]) -> list[Answer]:
        """Ask each aspect as a choice of its own, for an engine that does not follow a schema."""
        choices = {name: self._ask_choices(prompts, after=f'{{"{name}": ') for name in self.options.aspects}
        return [
            self._join_aspects(prompt, {name: column[number] for name, column in choices.items()})
            for number, prompt in enumerate(prompts)
        ]

    def _join_aspects(self, prompt: JudgePrompt, choices: dict[str, Choice | Failure]) -> Answer:
        ratings = {name: self._read_rating(prompt, choice) for name, choice in choices.items()}
        for rating in ratings.values():
            if rating.outcome == "failed":
                return rating
        good = [choice for choice in choices.values() if isinstance(choice, Choice)]
        moments = [self._compute_moments(choice) for choice in good]
        raw = {name: shares for name, (_, _, shares) in zip(choices, moments, strict=True)}
        # The aspects are taken for independent: a hesitation in one says nothing about the others.
        sd = sum(sd**2 for _, sd, _ in moments) ** 0.5 / len(moments)
        tokens = sum(choice.tokens_in for choice in good), sum(choice.tokens_out for choice in good)
        return from_rating(
            sum(mean for mean, _, _ in moments) / len(moments),
            sd=sd,
            raw=json.dumps(raw),
            aspects=tuple(
                AspectRating(name, mean, sd) for name, (mean, sd, _) in zip(choices, moments, strict=True)
            ),
            **prompt.make_answer_fields(*tokens),
        )
