"""Refusal: an answer that declines against one that does not.

A rule cannot know whether a request should be refused. Where refusing is right, this judge is wrong, and the
aggregation finds that out; `reverse: true` makes it prefer refusals, for sets of harmful requests.
"""

from __future__ import annotations

from curate.data.refusals import is_refusal
from curate.judge.base import PromptItem
from curate.judge.rules.base import Rule


class RefusalRule(Rule):
    """The score is −1 for a refusal or an empty response, else 0."""

    abstains_when_even = True
    reads_final = True

    def score_response(self, item: PromptItem, text: str) -> float:
        return -1.0 if not text.strip() or is_refusal(text) else 0.0
