"""Text that the lake's files cannot store: Parquet is UTF-8, and PostgreSQL knows no NUL."""

from __future__ import annotations

from typing import Any

from curate.ingest.rejection import RowError


def check_storable(row: object) -> None:
    """Raise `RowError` where a row holds a text that cannot be stored."""
    flaw = find_unstorable(row)
    if flaw is not None:
        kind, place = flaw
        raise RowError(kind, f"`{place}` holds a {kind}, which the lake's files cannot store.")


def find_unstorable(value: object, place: str = "") -> tuple[str, str] | None:
    """Find the first text that UTF-8 or PostgreSQL cannot hold: (what it holds, where)."""
    if isinstance(value, str):
        if "\x00" in value:
            return "NUL character", place
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                return "lone surrogate", place
        return None
    items: Any = ()
    if isinstance(value, dict):
        for name in value:
            flaw = find_unstorable(name, f"{place}, a key" if place else "a key")
            if flaw:
                return flaw
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for name, item in items:
        path = f"{place}[{name}]" if isinstance(name, int) else f"{place}.{name}" if place else str(name)
        flaw = find_unstorable(item, path)
        if flaw:
            return flaw
    return None
