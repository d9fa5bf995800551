"""Balance: at most so many prompts of a source or category."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from hashlib import blake2b
from typing import Literal

from pydantic import Field

from curate.filter.base import Decision, Filter, FilterOptions, Item, Items


class CapOptions(FilterOptions):
    """Options of `cap`."""

    by: Literal["source", "category"] = Field("source", description="What is balanced.")
    most: int | None = Field(None, ge=1, description="Most prompts of each.")
    share: float | None = Field(None, gt=0, lt=1, description="Most of all prompts that stay, for each.")


class Cap(Filter):
    """Leave out prompts of what there is too much of: which ones is drawn by a hash of their ids.

    The draw does not change while data grow, as far as the cap does not.
    """

    Options = CapOptions
    options: CapOptions

    def find(self, items: Items) -> Iterator[Decision]:
        groups: dict[str, list[Item]] = defaultdict(list)
        for item in items:
            groups[(item.source if self.options.by == "source" else item.category) or ""].append(item)
        caps = [self.options.most] if self.options.most is not None else []
        if self.options.share is not None and len(groups) > 1:
            caps.append(_cap_shares([len(group) for group in groups.values()], self.options.share))
        for name, group in groups.items():
            drawn = sorted(group, key=lambda item: blake2b(item.id.encode(), digest_size=8).digest())
            for item in drawn[min(caps, default=len(group)) :]:
                yield Decision(item, f"more than enough of the {self.options.by} {name or '(none)'}")


def _cap_shares(sizes: list[int], share: float) -> int:
    """Find the largest cap at which no group is more than `share` of what stays; else the smallest group."""
    low, high = min(sizes), max(sizes)
    if low > share * low * len(sizes) + 1e-9:
        return low
    while low < high:
        cap = (low + high + 1) // 2
        if cap <= share * sum(min(size, cap) for size in sizes) + 1e-9:
            low = cap
        else:
            high = cap - 1
    return low
