"""`filter`: what is left out of judging and of exports, and why."""

from __future__ import annotations

from typing import Any


def check_filters(filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give every filter of curate.yaml a name of its own: the one it states, else its kind.

    Raises:
        ValueError: A filter has no kind, or two have one name.
    """
    named = []
    for options in filters:
        kind = options.get("kind")
        if not isinstance(kind, str) or not kind:
            raise ValueError("every filter needs a `kind`")
        named.append({"name": kind, **options})
    names = [str(options["name"]) for options in named]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two filters are called {name!r}: give one of them another `name`")
    return named
