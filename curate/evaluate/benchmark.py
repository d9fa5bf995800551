"""A benchmark as it is scored: prompts whose responses somebody has ordered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from curate.core.identity import content_id
from curate.data.preference_rows import Turns


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkItem:
    """A prompt (`context`: its turns) with N responses.

    `tiers` int[N]: 1 the best, equal ones equally good. `gold` float[N]: how good each is, where the set says it in
    numbers. `styles` int[N]: how fancy each is (RM-Bench: 0 concise, 1 detailed, 2 detailed in markdown).
    `key`: the set's own name of the row; `prompt_id`: as in training sets, or "".
    """

    key: str
    context: Turns
    responses: tuple[str, ...]
    tiers: tuple[int, ...]
    subset: str = "all"
    gold: tuple[float, ...] | None = None
    styles: tuple[int, ...] | None = None
    prompt_id: str = ""

    @property
    def cluster(self) -> str:
        """Rows with one prompt are not independent: intervals are over prompts."""
        return self.prompt_id or content_id(self.context)

    def iterate_pairs(self) -> Iterator[tuple[int, int]]:
        """(better, worse) for all pairs that the gold decides."""
        places = range(len(self.tiers))
        return ((i, j) for i in places for j in places if self.tiers[i] < self.tiers[j])


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSet:
    """The items of a benchmark. `rows` = items + the sum of `dropped` (reason → rows)."""

    name: str
    format: str
    items: tuple[BenchmarkItem, ...]
    rows: int
    dropped: dict[str, int]
    digest: str
