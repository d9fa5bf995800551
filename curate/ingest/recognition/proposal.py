"""A mapping under construction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Proposal:
    """A mapping under construction.

    Attributes:
        fields: Keys of `fields`.
        kind: What the annotators are, where a column says so by its name or values.
        says_verdicts: Rows should carry verdicts by this mapping.
        doubts: What is likely, and not certain.
        problems: What has to be written by hand, in sentences.
        used: Columns that the mapping reads.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    kind: str | None = None
    says_verdicts: bool = False
    doubts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def read(self, key: str, column: str) -> None:
        """Let a key read a column."""
        self.fields[key] = column
        self.used.add(column)


def list_names(names: Sequence[str]) -> str:
    """List names of columns for a sentence."""
    return ", ".join(f"`{name}`" for name in names)
