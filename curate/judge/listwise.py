"""A language model sees all responses at once, under masked names, and scores and ranks them as JSON.

    - {name: list, kind: listwise, engine: m, principles: [Short answers are better.]}

The responses are called model-1, model-2, … in a random order that depends on ids alone; every second sample shows
the reverse of the order before it, so that with `samples: 2` (the default) each pair is seen in both orders. The
judge writes {"thoughts": …, "scores": {"model-1": 4, …}, "ranking": ["model-2", "model-1", …]}, which is the form of
RewardAnything (Yu et al. 2025). Nothing is repaired: JSON that lacks a name, has a score
off the scale, or ranks a response above one with a higher score is a failed judgment, with its text kept.

More responses than `size` are cut into lists of nearly equal length, each shown and judged apart; responses that never
share a list are not compared. More samples cut differently, and so compare more pairs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field, field_validator

from curate.engine.base import Failure, Generate, Generation
from curate.engine.json_answer import build_object_schema, parse_json_object
from curate.judge.base import Answer, PromptItem, Question, ask_shuffled_lists, fail
from curate.judge.language import DUMMY_ITEM, JudgePrompt, LanguageJudge, LanguageOptions
from curate.judge.registry import judge_kind


class ListwiseOptions(LanguageOptions):
    """Options of a language model that ranks all responses to a prompt at once."""

    template: str = Field(
        "listwise-v1", description="A template of the package, or a .jinja file of your own."
    )
    scale: tuple[int, int] = Field((1, 5), description="Worst and best score.")
    thoughts: bool = Field(True, description="Have the judge write its thoughts first, within the JSON.")
    size: int = Field(8, ge=2, description="Longest list that is shown at once.")
    samples: int = Field(2, ge=1, description="Orders to show; every second one is the reverse of the last.")
    max_tokens: int = Field(1024, ge=1, description="Longest JSON, in tokens.")

    @field_validator("scale")
    @classmethod
    def _ascending(cls, scale: tuple[int, int]) -> tuple[int, int]:
        if scale[0] >= scale[1]:
            raise ValueError("a scale goes from a number to a higher number, such as [1, 5]")
        return scale

    @field_validator("reasoning")
    @classmethod
    def _inside(cls, reasoning: bool) -> bool:
        if reasoning:
            raise ValueError("a listwise judge thinks within its JSON: use `thoughts`")
        return reasoning

    def can_vary(self) -> bool:
        return True  # another order is another question

    @property
    def effective_temperature(self) -> float:
        return self.temperature or 0.0


@judge_kind("listwise")
class Listwise(LanguageJudge):
    """A language model that ranks all responses of a prompt at once."""

    Options = ListwiseOptions
    options: ListwiseOptions

    def list_needs(self) -> tuple[Any, ...]:
        return ("generate",)

    def make_dummy_question(self) -> Question:
        return Question(DUMMY_ITEM, DUMMY_ITEM.candidates, form="listwise")

    def questions(self, item: PromptItem) -> Iterator[Question]:
        return ask_shuffled_lists(item, samples=self.options.samples, size=self.options.size)

    def get_values(self, question: Question) -> tuple[dict[str, object], list[str]]:
        texts = list(self.read_texts(question).responses)
        names = _mask_names(question)
        items = [{"name": name, "text": text} for name, text in zip(names, texts, strict=True)]
        return {"items": items, "ask": self._build_instruction(names)}, texts

    def _build_instruction(self, names: Sequence[str]) -> str:
        low, high = self.options.scale
        form: dict[str, object] = {"thoughts": "what decides"} if self.options.thoughts else {}
        form |= {"scores": dict.fromkeys(names, low), "ranking": list(names)}
        return (
            f"Score every answer from {low} (worst) to {high} (best) and rank them, the best first. "
            f"Say a JSON object of this form: {json.dumps(form)}"
        )

    def ask_verdicts(self, questions: Sequence[Question], prompts: Sequence[JudgePrompt]) -> Sequence[Answer]:
        takes_schema = "schema" in self.engine.capabilities
        outputs = self.engine.generate(
            [
                Generate(
                    messages=prompt.messages,
                    prefill=prompt.prefill,
                    delimiter=prompt.delimiter,
                    sampling=self.make_sampling(question),
                    json_schema=json.dumps(self._build_schema(_mask_names(question)))
                    if takes_schema
                    else None,
                )
                for question, prompt in zip(questions, prompts, strict=True)
            ]
        )
        return [
            self._read_ranking(question, prompt, output)
            for question, prompt, output in zip(questions, prompts, outputs, strict=True)
        ]

    def _build_schema(self, names: Sequence[str]) -> dict[str, Any]:
        low, high = self.options.scale
        score = {"type": "integer", "minimum": low, "maximum": high}
        properties: dict[str, Any] = (
            {"thoughts": {"type": "string", "maxLength": self.options.max_tokens}}
            if self.options.thoughts
            else {}
        )
        properties["scores"] = build_object_schema(dict.fromkeys(names, score))
        properties["ranking"] = {
            "type": "array",
            "items": {"enum": list(names)},
            "minItems": len(names),
            "maxItems": len(names),
        }
        return build_object_schema(properties)

    def _read_ranking(self, question: Question, prompt: JudgePrompt, output: Generation | Failure) -> Answer:
        if isinstance(output, Failure):
            return fail(output, **prompt.make_answer_fields())
        fields, text = (
            prompt.make_answer_fields(output.tokens_in, output.tokens_out),
            output.completions[0].text,
        )
        value = parse_json_object(text)
        if isinstance(value, Failure):
            return fail(value, **fields)
        fault = self._explain_fault(value, _mask_names(question))
        if fault is not None:
            return fail(Failure(fault, text), **fields)
        ids = dict(
            zip(_mask_names(question), (candidate.response_id for candidate in question.asked), strict=True)
        )
        if thoughts := value.get("thoughts"):
            fields["rationale"] = "\n\n".join(filter(None, [prompt.rationale, str(thoughts)]))
        return Answer(
            outcome="a",
            scores=tuple(float(value["scores"][name]) for name in ids),
            ranking=tuple(ids[name] for name in value["ranking"]),
            raw=text,
            **fields,
        )

    def _explain_fault(self, value: dict[str, Any], names: Sequence[str]) -> str | None:
        """Explain why the JSON is no valid ranking; None if it is one."""
        (low, high), scores, ranking = self.options.scale, value.get("scores"), value.get("ranking")
        if not isinstance(scores, dict) or set(scores) != set(names):
            return "`scores` does not name each answer once"
        if not all(type(score) in (int, float) and low <= score <= high for score in scores.values()):
            return f"a score is no number from {low} to {high}"
        if not isinstance(ranking, list) or sorted(map(str, ranking)) != sorted(names):
            return "`ranking` does not name each answer once"
        ranked = [scores[name] for name in ranking]
        if ranked != sorted(ranked, reverse=True):
            return "`ranking` contradicts `scores`"
        return None


def _mask_names(question: Question) -> list[str]:
    return [f"model-{number}" for number in range(1, len(question.asked) + 1)]
