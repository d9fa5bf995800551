"""Refusals: whether a response declines (English)."""

from __future__ import annotations

import re

_HEAD = 200  # characters: a refusal says so at its beginning; further on such words are mostly content
_REFUSAL = re.compile(
    r"\bI(?:'m| am) (?:really |very |so )?(?:sorry|afraid)\b.{0,60}?\b(?:can(?:'t|not)|unable|not able|won't|must)"
    r"|\bI (?:can(?:'t|not| not)|could not|couldn't|won't|will not|must not|am unable to|am not able to|'m unable to) "
    r"(?:\w+ )?(?:help|assist|provide|answer|comply|fulfill?|do that|do this|give|share|support|create|write|"
    r"engage|discuss|offer|continue|complete|generate|participate|recommend)"
    r"|\bI(?:'m| am) (?:not able|unable|not comfortable|not allowed|not permitted)\b"
    r"|\bI (?:must|have to|need to|respectfully|will have to) (?:decline|refuse)"
    r"|\bas an? (?:AI|artificial intelligence|(?:large )?language model)\b.{0,80}?"
    r"\b(?:can(?:'t|not)|unable|do not|don't|not able)"
    r"|\bI (?:don't|do not) (?:feel comfortable|have the ability)"
    r"|\b(?:this|that|your) request (?:is|goes) (?:against|inappropriate|not something)",
    re.IGNORECASE | re.DOTALL,
)


def is_refusal(text: str) -> bool:
    """Tell whether a response declines, by its beginning (English)."""
    return _REFUSAL.search(text.strip().replace("’", "'")[:_HEAD]) is not None
