"""Pairs whose aspects contradict the verdict as a whole.

Aspects should agree with the holistic judgment before they are trusted beside it (ALaRM, arXiv 2403.06754, which
selects rewards of aspects by how seldom they contradict the holistic reward). Here each pair is looked at: with the
verdicts s_k of its aspects (1, -1; ties are left out) and s as a whole, the share of aspect weight with s_k ≠ s.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, PositiveFloat

from curate.filter.base import Decision, Filter, FilterOptions, Items, Target


class AspectConsistencyOptions(FilterOptions):
    """Options of `aspect-consistency`."""

    most: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="Largest share of the aspects that may contradict the verdict as a whole.",
    )
    least: int = Field(1, ge=1, description="Fewest aspects with a winner; pairs with fewer stay.")
    aspects: dict[str, PositiveFloat] = Field(
        default_factory=dict,
        description="Aspects that are looked at, with their weights; default: all, alike.",
    )


class AspectConsistency(Filter):
    """Leave pairs out of exports whose aspects speak against the verdict as a whole."""

    Options = AspectConsistencyOptions
    options: AspectConsistencyOptions

    @property
    def target(self) -> Target:
        return "pair"

    def find(self, items: Items) -> Iterator[Decision]:
        weights = self.options.aspects
        for item in items:
            decided = {
                name: verdict
                for name, verdict in item.aspects.items()
                if verdict and (not weights or name in weights)
            }
            if not item.verdict or len(decided) < self.options.least:
                continue
            total = sum(weights.get(name, 1.0) for name in decided)
            against = sum(
                weights.get(name, 1.0) for name, verdict in decided.items() if verdict != item.verdict
            )
            if against / total > self.options.most:
                yield Decision(item, "the aspects contradict the verdict as a whole", against / total)
