"""Answers that refuse: they tell nothing of which answer is better, unless refusing is the point."""

from __future__ import annotations

import re

from pydantic import Field

from curate.filter.base import TextFilter, TextFilterOptions

# The openings of refusals in English, as public refusal detectors list them; other languages are not covered.
_NOT = r"(?:can(?:'|\u2019)?t|cannot|can not|won(?:'|\u2019)?t|will not|am unable|am not able|must decline)"
_ACTS = r"(?:assist|help|fulfil|fulfill|comply|provide|answer|do that|create|write|generate|support|engage)"
_OPENINGS = re.compile(
    r"(?:sorry|afraid)\b[^.!?\n]{0,60}?"
    r"\b(?:can(?:'|\u2019)?t|cannot|can not|won(?:'|\u2019)?t|unable|not able|not comfortable)\b"
    rf"|\bi {_NOT}\b[^.!?\n]{{0,40}}?\b{_ACTS}\b"
    rf"|\bas an ai(?: language)?(?: model| assistant)?,? i (?:do not|don(?:'|\u2019)?t|{_NOT})\b",
    re.I,
)


class RefusalOptions(TextFilterOptions):
    """Options of `refusal`."""

    within: int = Field(200, ge=20, description="Characters from the start in which a refusal must begin.")
    longest: int = Field(600, ge=20, description="A longer answer does more than refuse.")


class Refusal(TextFilter):
    """Find answers that refuse in English. `action: report` where refusals are what is compared."""

    Options = RefusalOptions
    options: RefusalOptions

    def find_flaw(self, text: str) -> tuple[str, float | None] | None:
        if len(text) > self.options.longest:
            return None
        opening = _OPENINGS.search(text[: self.options.within + 120])
        return None if opening is None or opening.start() > self.options.within else ("refuses", None)
