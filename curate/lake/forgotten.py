"""Traces of what `curate forget` removed: hashes of names and ids, by which the same is not taken in again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from curate.lake.lake import Lake

Barred = Literal["source", "prompt", "key", "person"]
DIGEST_LENGTH = 32  # hexadecimal characters of SHA-256


def digest_name(kind: str, name: str) -> str:
    """Return the hash by which the table `forgotten` knows a name; `digest_sql` is the same in SQL."""
    return hashlib.sha256(f"{kind}:{name}".encode()).hexdigest()[:DIGEST_LENGTH]


def digest_sql(kind: str, column: str) -> str:
    """Return SQL for the hash of a column; `kind` is a literal, without a quote."""
    return f"left(sha256('{kind}:' || {column}), {DIGEST_LENGTH})"


@dataclass(frozen=True, slots=True)
class ForgottenNames:
    """The names that may not come in again, as hashes of each kind."""

    digests: dict[Barred, frozenset[str]]

    @classmethod
    def read(cls, lake: Lake) -> ForgottenNames:
        """Read them from the lake."""
        digests: dict[Barred, set[str]] = {}
        for kind, digest in lake.rows("SELECT kind, digest FROM forgotten WHERE kind <> 'row'"):
            digests.setdefault(kind, set()).add(digest)
        return cls({kind: frozenset(values) for kind, values in digests.items()})

    def has(self, kind: Barred, name: str | None) -> bool:
        """Tell whether a name was forgotten."""
        known = self.digests.get(kind)
        return known is not None and name is not None and digest_name(kind, name) in known

    def find(self, kind: Barred, names: Iterable[str]) -> list[bool] | None:
        """Tell which names were forgotten; None where none of this kind ever was."""
        known = self.digests.get(kind)
        return None if known is None else [digest_name(kind, name) in known for name in names]
