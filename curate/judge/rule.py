"""A rule compares two responses without any model: fast, free, and wrong in known ways.

    - {name: length, kind: rule, rule: length}
    - {name: brief, kind: rule, rule: length, reverse: true}
    - {name: format, kind: rule, rule: format}

    - {name: calm, kind: rule, rule: "./exclaims.py:FewerExclamations"}      # one of your own, see rules/base.py

The rules, each in its own file under rules/: `length` (more words), `repetition` (fewer repeated trigrams),
`refusal` (does not decline), `format` (keeps the constraints of the request that a program can check).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field, field_validator

from curate.config.validation import validate_options
from curate.core.registry import find_name_problem, split_choice
from curate.engine.registry import Engines
from curate.judge.base import Answer, Judge, JudgeOptions, Question, abstain, from_margin
from curate.judge.registry import judge_kind
from curate.judge.rules import RULES


class RuleOptions(JudgeOptions):
    """Options of a rule that needs no model."""

    rule: str | dict[str, Any] = Field(
        description=f"{', '.join(RULES.names)}, ./file.py:Class for your own, or {{kind: name, option: value}}."
    )
    tie: float | None = Field(
        None, ge=0.0, description="Difference up to which a pair is even; default: the rule's."
    )
    reverse: bool = Field(False, description="Prefer the response that the rule ranks lower.")

    @field_validator("rule")
    @classmethod
    def _check_rule(cls, value: str | dict[str, Any]) -> str | dict[str, Any]:
        name, _ = split_choice(value)
        if not isinstance(name, str):
            raise ValueError("a rule with options needs its name as `kind`")  # noqa: TRY004 (pydantic reads it)
        if problem := find_name_problem(name, RULES.names, RULES.family, RULES.noun):
            raise ValueError(problem)
        return name if value == {"kind": name} else value


@judge_kind("rule")
class RuleJudge(Judge):
    """A judge by a rule: the judgment's `score` is the rule's score of a minus that of b, without a probability."""

    kind = "rule"
    is_cheap = True
    Options = RuleOptions
    options: RuleOptions

    def __init__(self, options: RuleOptions, engines: Engines) -> None:
        super().__init__(options, engines)
        self._name, given = split_choice(options.rule)
        where = f"judge.{options.name}.rule"
        registered = RULES.find(self._name, where=where, folder=engines.folder)
        self._code = registered.code
        self._rule = registered.type(validate_options(registered.type.Options, given, where=where))

    @property
    def identity(self) -> Sequence[object]:
        return (self._code,) if self._code else ()

    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        return [self._compare_pair(question) for question in questions]

    def _compare_pair(self, question: Question) -> Answer:
        rule = self._rule
        a, b = (rule.score_response(question.item, rule.select_text(one)) for one in question.asked)
        if a is None or b is None:
            return abstain(f"the rule {self._name} has nothing to say about these responses")
        tie = rule.tie if self.options.tie is None else self.options.tie
        margin = b - a if self.options.reverse else a - b
        if rule.abstains_when_even and abs(margin) <= tie:
            return abstain(f"the rule {self._name} sees no difference")
        return from_margin(margin, tie=tie)
