"""A rule of one's own: prefer responses with fewer exclamation marks.

Named in curate.yaml, beside this file:

    judge:
      judges:
        - {name: calm, kind: rule, rule: "./rule.py:FewerMarks"}
        - {name: sure, kind: rule, rule: {kind: "./rule.py:FewerMarks", marks: "?"}}  # with an option
"""

from pydantic import Field

from curate.core.section import Section
from curate.judge import PromptItem
from curate.judge.rules import Rule


class FewerMarksOptions(Section):
    marks: str = Field("!", min_length=1, description="Characters to count.")


class FewerMarks(Rule):
    Options = FewerMarksOptions
    tie = 0.0  # pairs with as many marks are ties

    def score_response(self, item: PromptItem, text: str) -> float | None:
        if not text.strip():
            return None  # the judge abstains where a response is empty
        return -float(sum(text.count(mark) for mark in self.options.marks))  # the higher the better
