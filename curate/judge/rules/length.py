"""Length: the plainest judge of all, and the baseline that every other one must beat."""

from __future__ import annotations

import math

from curate.judge.base import PromptItem
from curate.judge.rules.base import Rule


class LengthRule(Rule):
    """The score is ln(1 + words): longer is better, and a difference of 0.1 means about a tenth more words."""

    tie = 0.1

    def score_response(self, item: PromptItem, text: str) -> float:
        return math.log1p(len(text.split()))
