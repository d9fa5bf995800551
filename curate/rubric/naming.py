"""Short names for criteria that came without one."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"[a-z0-9]+")
_EMPTY = frozenset(
    "the a an of to is are in and that response select by it its for with or as be this which on user s".split()  # noqa: SIM905
)


def name_criteria(texts: Iterable[str]) -> list[str]:
    """Return a name for each text: its first words that carry meaning, with a number where two are called alike."""
    names: list[str] = []
    taken: set[str] = set()
    for text in texts:
        words = [word for word in _WORD.findall(text.lower()) if word not in _EMPTY] or ["criterion"]
        base = "-".join(words[:5])[:60].rstrip("-")
        name, number = base, 2
        while name in taken:
            name, number = f"{base}-{number}", number + 1
        taken.add(name)
        names.append(name)
    return names
