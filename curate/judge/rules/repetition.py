"""Repetition: text that goes round in circles, as weak or badly sampled models write."""

from __future__ import annotations

from curate.judge.base import PromptItem

_N = 3
_LEAST = 12  # words: below, hardly any trigram can repeat, and the share says nothing


def repetition_score(item: PromptItem, text: str) -> float | None:
    """Minus the share of repeated word trigrams, in [−1, 0]; None for texts of fewer than 12 words.

    1 − |distinct n-grams| / |n-grams| is seq-rep-n of Welleck et al. 2020, "Neural Text Generation with Unlikelihood
    Training", §6.1.
    """
    words = text.lower().split()
    if len(words) < _LEAST:
        return None
    grams = [tuple(words[start : start + _N]) for start in range(len(words) - _N + 1)]
    return len(set(grams)) / len(grams) - 1.0
