"""Text in a form that a page can show."""

from __future__ import annotations

import re
import unicodedata

# Characters that HTML forbids; a response may hold any of them, and a chart's text engine aborts on some.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def replace_forbidden(text: str) -> str:
    """Replace each character that HTML forbids by a mark."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def shorten_name(name: str, width: int) -> str:
    """Cut a name to one line of at most `width` columns, of which East Asian characters take two.

    Vega would cut between UTF-16 units and fails if that splits a character, so names are cut here.
    """
    name = " ".join(replace_forbidden(name).split())
    taken = 0
    for place, character in enumerate(name):
        taken += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if taken > width:
            return name[: max(0, place - 1)].rstrip() + "…"
    return name


def cut_text(text: str | None, length: int) -> str:
    """Cut a text to `length` characters."""
    if text is None:
        return "(not in the lake)"
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
