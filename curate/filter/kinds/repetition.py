"""Texts that go round in circles, after the rules of Gopher (Rae et al. 2021, arXiv 2112.11446, table A1)."""

from __future__ import annotations

import re
from collections import Counter

from pydantic import Field

from curate.filter.base import TextFilter, TextFilterOptions


class RepetitionOptions(TextFilterOptions):
    """Options of `repetition`."""

    lines: float = Field(0.3, gt=0, le=1, description="Most share of characters in lines that stood before.")
    words: int = Field(4, ge=2, le=20, description="Words of a phrase.")
    phrases: float = Field(
        0.3, gt=0, le=1, description="Most share of characters in the commonest phrase of so many words."
    )
    least: int = Field(40, ge=1, description="Words that a text must have to be looked at.")


class Repetition(TextFilter):
    """Leave out texts that say the same lines or phrases over and over."""

    Options = RepetitionOptions
    options: RepetitionOptions

    def find_flaw(self, text: str) -> tuple[str, float | None] | None:
        words = text.split()
        if len(words) < self.options.least:
            return None
        share = _measure_repeated_lines(text)
        if share > self.options.lines:
            return "repeats its lines", share
        share = _measure_commonest_phrase(words, self.options.words)
        return ("repeats a phrase", share) if share > self.options.phrases else None


def _measure_repeated_lines(text: str) -> float:
    """Compute the share of characters in lines that stood before; short ones, such as `}` in code, do not count."""
    lines = [line.strip() for line in re.split(r"\n+", text)]
    lines = [line for line in lines if len(line) > 12]
    seen: set[str] = set()
    repeated = total = 0
    for line in lines:
        total += len(line)
        repeated += len(line) if line in seen else 0
        seen.add(line)
    return repeated / total if total else 0.0


def _measure_commonest_phrase(words: list[str], n: int) -> float:
    """Compute the share of characters that the commonest phrase of n words takes, where it stands more than twice."""
    phrases = Counter(zip(*(words[start:] for start in range(n)), strict=False))
    phrase, count = phrases.most_common(1)[0]
    if count < 3:
        return 0.0
    return min(1.0, count * sum(map(len, phrase)) / sum(map(len, words)))
