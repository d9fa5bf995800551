"""Length: the plainest judge of all, and the baseline that every other one must beat."""

from __future__ import annotations

import math

from curate.judge.base import PromptItem


def length_score(item: PromptItem, text: str) -> float:
    """ln(1 + words): longer is better, and a difference of 0.1 means about a tenth more words."""
    return math.log1p(len(text.split()))
