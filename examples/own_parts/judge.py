"""A judge of one's own: prefer the response that uses more words of the request.

Named in curate.yaml, beside this file:

    judge:
      judges:
        - {name: on-topic, kind: "./judge.py:OnTopic", least: 4}
"""

from collections.abc import Sequence

from pydantic import Field

from curate.judge import Answer, Judge, JudgeOptions, Question, abstain, from_margin
from curate.records import plain_text


class OnTopicOptions(JudgeOptions):
    least: int = Field(3, ge=1, description="Letters from which on a word counts.")


class OnTopic(Judge):
    kind = "rule"  # the kind of annotator in the tables
    is_cheap = True
    Options = OnTopicOptions

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        return [self.compare_pair(question) for question in questions]

    def compare_pair(self, question: Question) -> Answer:
        request = plain_text(question.item.messages[-1].content).lower().split()
        words = {word for word in request if len(word) >= self.options.least}
        if not words:
            return abstain("the request has no long words")
        share_a, share_b = (len(words & set(c.text.lower().split())) / len(words) for c in question.asked)
        return from_margin(share_a - share_b)  # a: above 0, b: below 0, else a tie
