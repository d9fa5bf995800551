"""Answers that end in the middle: a limit of tokens cut them."""

from __future__ import annotations

import re

from pydantic import Field

from curate.filter.base import TextFilter, TextFilterOptions

_ENDS = re.compile(r"[.!?:;)\]}>\"'`*_~|=…。！？」』）】\u201d\u2019\u00bb]\s*$")
_LINE_OF_ITS_OWN = re.compile(r"^(?:[-*+\u2022]|\d+[.)]|#{1,6}|\||>)\s|^\S*$")


class TruncationOptions(TextFilterOptions):
    """Options of `truncation`."""

    least: int = Field(
        400, ge=1, description="Characters that a text must have: short answers need no full stop."
    )


class Truncation(TextFilter):
    """Find long answers that end within a sentence or inside a block of code."""

    Options = TruncationOptions
    options: TruncationOptions

    def find_flaw(self, text: str) -> tuple[str, float | None] | None:
        stripped = text.rstrip()
        if len(stripped) < self.options.least:
            return None
        if len(re.findall(r"^\s*```", stripped, re.M)) % 2:
            return "ends inside a block of code", None
        last = stripped.rsplit("\n", 1)[-1].strip()
        if _ENDS.search(stripped) or _LINE_OF_ITS_OWN.match(last) or not last[-1].isalnum():
            return None
        if "```" in stripped or len(last.split()) < 6:  # a signature, a formula, the last line of a poem
            return None
        return ("ends within a sentence", None) if last[-1].isascii() and last[-1] != "," else None
