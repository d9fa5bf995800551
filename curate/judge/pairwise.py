"""A language model compares two responses, in both orders, and its verdict is read from its logits.

    - {name: smol, kind: pairwise, engine: smol, tie: true}
    - {name: wise, kind: pairwise, engine: big, reasoning: true, samples: 5}

Each pair is asked twice, as (a, b) and as (b, a): two judgments, whose difference is the position bias. The engine
gives the probabilities of the verdicts "A", "B" (and "C", a tie, with `tie: true`) as the next word; among
themselves they sum to one, and P(a) = P(verdict for a) + ½ P(tie). The outcome is a tie where "C" is the likeliest,
or where P(a) is within `tie_band` of ½. Where the verdicts together hold less than `min_mass` of all probability,
the model was about to say something else, and the judgment has failed. With `reasoning: true` the model thinks aloud
first, and the verdict is read in the same way after what it thought.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field

from curate.engine.base import Choice, Choose, Failure
from curate.judge.base import Answer, PromptItem, Question, ask_both_orders, fail, from_probability
from curate.judge.language import DUMMY_ITEM, JudgePrompt, LanguageJudge, LanguageOptions, space_choices
from curate.judge.registry import judge_kind

_VERDICTS = ("A", "B", "C")


class PairwiseOptions(LanguageOptions):
    """Options of a language model that compares two responses."""

    template: str = Field(
        "pairwise-v1", description="A template of the package, or a .jinja file of your own."
    )
    tie: bool = Field(False, description="Offer the verdict that both are equally good.")
    tie_band: float = Field(0.0, ge=0.0, lt=0.5, description="|P(a) − ½| up to which the outcome is a tie.")


@judge_kind("pairwise")
class Pairwise(LanguageJudge):
    """A language model that says which of two responses is better."""

    Options = PairwiseOptions
    options: PairwiseOptions

    def list_needs(self) -> tuple[Any, ...]:
        return ("choose", "generate") if self.generates_text() else ("choose",)

    def make_dummy_question(self) -> Question:
        return Question(DUMMY_ITEM, DUMMY_ITEM.candidates, shown="ab")

    def questions(self, item: PromptItem) -> Iterator[Question]:
        return ask_both_orders(item, samples=self.options.samples)

    def get_values(self, question: Question) -> tuple[dict[str, object], list[str]]:
        texts = self.read_texts(question).responses
        first, second = texts[::-1] if question.shown == "ba" else texts
        ask = "Say A, B, or C if they are equally good." if self.options.tie else "Say A or B."
        return {"first": first, "second": second, "ask": ask, "tie": self.options.tie}, [first, second]

    def ask_verdicts(self, questions: Sequence[Question], prompts: Sequence[JudgePrompt]) -> Sequence[Answer]:
        verdicts = _VERDICTS[: 3 if self.options.tie else 2]
        choices = self.engine.choose(
            [
                Choose(
                    messages=prompt.messages,
                    choices=space_choices(prompt.prefill, verdicts),
                    prefill=prompt.prefill,
                    delimiter=prompt.delimiter,
                )
                for prompt in prompts
            ]
        )
        return [
            self._read_verdict(question, prompt, choice)
            for question, prompt, choice in zip(questions, prompts, choices, strict=True)
        ]

    def _read_verdict(self, question: Question, prompt: JudgePrompt, choice: Choice | Failure) -> Answer:
        if isinstance(choice, Failure):
            return fail(choice, **prompt.make_answer_fields())
        raw = json.dumps(
            {verdict: round(value, 4) for verdict, value in zip(_VERDICTS, choice.log_probs, strict=False)}
        )
        fields = prompt.make_answer_fields(choice.tokens_in, choice.tokens_out)
        if not math.isfinite(choice.mass):
            return fail(Failure("the probability of a verdict is not a finite number", raw), **fields)
        if choice.mass < self.options.min_mass:
            reason = f"the verdicts hold too little of the probability: {choice.mass:.2g}"
            return fail(Failure(reason, raw, permanent=True), **fields)
        first, second, *rest = choice.probabilities
        tie = rest[0] if rest else 0.0
        p_first = float(first + tie / 2)
        p_a = 1 - p_first if question.shown == "ba" else p_first
        band = 0.5 if tie > max(first, second) else self.options.tie_band
        return from_probability(p_a, tie=band, raw=raw, **fields)
