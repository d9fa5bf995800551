"""A rule compares two responses without any model: fast, free, and wrong in known ways.

    - {name: length, kind: rule, rule: length}
    - {name: brief, kind: rule, rule: length, reverse: true}
    - {name: format, kind: rule, rule: format}

The rules, each in its own file under rules/: `length` (more words), `repetition` (fewer repeated trigrams),
`refusal` (does not decline), `format` (keeps the constraints of the request that a program can check).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from curate.judge.base import Answer, Judge, JudgeOptions, Question, abstain, from_margin
from curate.judge.registry import judge_kind
from curate.judge.rules import RULES


class RuleOptions(JudgeOptions):
    """A rule that needs no model."""

    rule: Literal["format", "length", "refusal", "repetition"]
    tie: float | None = Field(
        None, ge=0.0, description="Difference up to which a pair is even; default: the rule's."
    )
    reverse: bool = Field(False, description="Prefer the response that the rule ranks lower.")


@judge_kind("rule")
class RuleJudge(Judge):
    """The judgment's `score` is the rule's score of a minus that of b; a rule knows no probabilities."""

    kind = "rule"
    is_cheap = True
    Options = RuleOptions
    options: RuleOptions

    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        return [self._compare(question) for question in questions]

    def _compare(self, question: Question) -> Answer:
        rule = RULES[self.options.rule]
        a, b = (rule.score(question.item, candidate.text) for candidate in question.asked)
        if a is None or b is None:
            return abstain(f"the rule {self.options.rule} has nothing to say about these responses")
        tie = rule.tie if self.options.tie is None else self.options.tie
        margin = b - a if self.options.reverse else a - b
        if rule.abstains_when_even and abs(margin) <= tie:
            return abstain(f"the rule {self.options.rule} sees no difference")
        return from_margin(margin, tie=tie)
