"""Repetition: text that repeats itself, as weak or badly sampled models write."""

from __future__ import annotations

from curate.judge.base import PromptItem
from curate.judge.rules.base import Rule

_N = 3
_MIN_WORDS = 12  # in fewer words, hardly any trigram can repeat, and the share says nothing


class RepetitionRule(Rule):
    """The score is minus the share of repeated word trigrams, in [−1, 0]; none for texts of fewer than 12 words.

    1 − |distinct n-grams| / |n-grams| is seq-rep-n of Welleck et al. 2020, "Neural Text Generation with Unlikelihood
    Training", §6.1.
    """

    tie = 0.1

    def score_response(self, item: PromptItem, text: str) -> float | None:
        words = text.lower().split()
        if len(words) < _MIN_WORDS:
            return None
        grams = [tuple(words[start : start + _N]) for start in range(len(words) - _N + 1)]
        return len(set(grams)) / len(grams) - 1.0
