"""Texts that are no language: mostly signs, broken encodings, one character over and over, or keys hit at random."""

from __future__ import annotations

import re
from collections import Counter

from pydantic import Field

from curate.filter.base import TextFilter, TextFilterOptions

_MOJIBAKE = re.compile("\u00c3[\u0080-\u00bf]|\u00e2\u20ac[\u0080-\u2122]|\ufffd")


class GibberishOptions(TextFilterOptions):
    """Options of `gibberish`."""

    letters: float = Field(
        0.3, ge=0, le=1, description="Least share of letters, digits and blanks in the text."
    )
    one_character: float = Field(
        0.5, gt=0, le=1, description="Most share of one character other than a blank."
    )
    mojibake: float = Field(0.02, gt=0, le=1, description="Most share of signs of a broken encoding.")
    longest_word: int = Field(1000, ge=10, description="Most characters without a blank, addresses left out.")
    least: int = Field(30, ge=1, description="Characters that a text must have to be looked at.")


class Gibberish(TextFilter):
    """Find texts that are no language."""

    Options = GibberishOptions
    options: GibberishOptions

    def find_flaw(self, text: str) -> tuple[str, float | None] | None:
        if len(text) < self.options.least:
            return None
        visible = [character for character in text if not character.isspace()]
        if not visible:
            return "has nothing but blanks", None
        share = sum(character.isalnum() or character.isspace() for character in text) / len(text)
        if share < self.options.letters:
            return "has hardly any letters", share
        share = Counter(visible).most_common(1)[0][1] / len(visible)
        if share > self.options.one_character:
            return "is one character over and over", share
        share = len(_MOJIBAKE.findall(text)) / len(text)
        if share > self.options.mojibake:
            return "was decoded wrongly", share
        longest = max((len(word) for word in text.split() if "://" not in word and word.isascii()), default=0)
        return ("has a word without an end", float(longest)) if longest > self.options.longest_word else None
