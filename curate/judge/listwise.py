"""A language model sees all responses at once, under masked names, and scores and ranks them as JSON.

    - {name: list, kind: listwise, engine: m, principles: [Short answers are better.]}

The responses are called model-1, model-2, … in a random order that depends on ids alone; every second sample shows
the reverse of the order before it, so that with `samples: 2` (the default) each pair is seen in both orders. The
judge says {"thoughts": …, "scores": {"model-1": 4, …}, "ranking": ["model-2", "model-1", …]}, which is the form of
RewardAnything (Yu et al. 2025). What is said is taken literally or not at all: JSON that lacks a name, has a score
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
from curate.judge.base import Answer, PromptItem, Question, ask_shuffled_lists, fail
from curate.judge.json_answer import parse_json_object
from curate.judge.language import DUMMY_ITEM, JudgePrompt, LanguageJudge, LanguageOptions
from curate.judge.registry import judge_kind


class ListwiseOptions(LanguageOptions):
    """A language model that ranks all responses to a prompt at once."""

    template: str = Field(
        "listwise-v1", description="A template of the package, or a .jinja file of your own."
    )
    scale: tuple[int, int] = Field((1, 5), description="Worst and best score.")
    thoughts: bool = Field(True, description="Have it give its thoughts first, within the JSON.")
    size: int = Field(8, ge=2, description="Longest list that is shown at once.")
    samples: int = Field(2, ge=1, description="Orders to show; every second one is the reverse of the last.")
    max_tokens: int = Field(1024, ge=1, description="Of the JSON.")

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

    def varies(self) -> bool:
        return True  # another order is another question

    @property
    def heat(self) -> float:
        return self.temperature or 0.0


@judge_kind("listwise")
class Listwise(LanguageJudge):
    Options = ListwiseOptions
    options: ListwiseOptions

    def needs(self) -> tuple[Any, ...]:
        return ("generate",)

    def trial(self) -> Question:
        return Question(DUMMY_ITEM, DUMMY_ITEM.candidates, form="listwise")

    def questions(self, contest: PromptItem) -> Iterator[Question]:
        return ask_shuffled_lists(contest, samples=self.options.samples, size=self.options.size)

    def show(self, question: Question) -> tuple[dict[str, object], list[str]]:
        texts = [candidate.text for candidate in question.asked]
        names = _mask_names(question)
        items = [{"name": name, "text": text} for name, text in zip(names, texts, strict=True)]
        return {"items": items, "ask": self._ask(names)}, texts

    def _ask(self, names: Sequence[str]) -> str:
        low, high = self.options.scale
        form: dict[str, object] = {"thoughts": "what decides"} if self.options.thoughts else {}
        form |= {"scores": dict.fromkeys(names, low), "ranking": list(names)}
        return (
            f"Score every answer from {low} (worst) to {high} (best) and rank them, the best first. "
            f"Say a JSON object of this form: {json.dumps(form)}"
        )

    def decide(self, questions: Sequence[Question], briefs: Sequence[JudgePrompt]) -> Sequence[Answer]:
        held = "schema" in self.engine.capabilities
        found = self.engine.generate(
            [
                Generate(
                    messages=brief.messages,
                    prefill=brief.prefill,
                    sampling=self.sampling(question),
                    json_schema=json.dumps(self._schema(_mask_names(question))) if held else None,
                )
                for question, brief in zip(questions, briefs, strict=True)
            ]
        )
        return [
            self._read(question, brief, said)
            for question, brief, said in zip(questions, briefs, found, strict=True)
        ]

    def _schema(self, names: Sequence[str]) -> dict[str, Any]:
        low, high = self.options.scale
        score = {"type": "integer", "minimum": low, "maximum": high}
        properties: dict[str, Any] = (
            {"thoughts": {"type": "string", "maxLength": self.options.max_tokens}}
            if self.options.thoughts
            else {}
        )
        properties["scores"] = {
            "type": "object",
            "properties": dict.fromkeys(names, score),
            "required": list(names),
            "additionalProperties": False,
        }
        properties["ranking"] = {
            "type": "array",
            "items": {"enum": list(names)},
            "minItems": len(names),
            "maxItems": len(names),
        }
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def _read(self, question: Question, brief: JudgePrompt, said: Generation | Failure) -> Answer:
        if isinstance(said, Failure):
            return fail(said, **brief.spent())
        spent, text = brief.spent(said.tokens_in, said.tokens_out), said.completions[0].text
        found = parse_json_object(text)
        if isinstance(found, Failure):
            return fail(found, **spent)
        wrong = self._objection(found, _mask_names(question))
        if wrong is not None:
            return fail(Failure(wrong, text), **spent)
        ids = dict(zip(_mask_names(question), (each.response_id for each in question.asked), strict=True))
        if thoughts := found.get("thoughts"):
            spent["rationale"] = "\n\n".join(filter(None, [brief.rationale, str(thoughts)]))
        return Answer(
            outcome="a",
            scores=tuple(float(found["scores"][name]) for name in ids),
            ranking=tuple(ids[name] for name in found["ranking"]),
            raw=text,
            **spent,
        )

    def _objection(self, found: dict[str, Any], names: Sequence[str]) -> str | None:
        """What is wrong with what the judge said, if anything is."""
        (low, high), scores, ranking = self.options.scale, found.get("scores"), found.get("ranking")
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
