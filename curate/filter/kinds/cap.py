"""Balance: at most so many prompts of a source or category, responses of a model, or a mix in given shares."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from curate.core.errors import CurateError
from curate.filter.base import Decision, Filter, FilterOptions, Item, Items, Target

Share = Annotated[float, Field(gt=0, le=1)]


class CapOptions(FilterOptions):
    """Options of `cap`."""

    by: Literal["source", "category", "model"] = Field(
        "source", description="What is balanced; of models, their responses are."
    )
    most: int | None = Field(None, ge=1, description="Most prompts (of a model: responses) of each.")
    share: float | None = Field(None, gt=0, lt=1, description="Most of all that stay, for each.")
    shares: dict[str, Share] = Field(
        default_factory=dict,
        description="The mix: the share of each among what stays; all others together have what is left of 1.",
    )

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if sum(self.shares.values()) > 1 + 1e-9:
            raise ValueError(
                f"the shares of the mix add up to {sum(self.shares.values()):g}, which is more than 1"
            )
        if self.shares and self.share is not None:
            raise ValueError("`share` and `shares` exclude each other")
        return self


class Cap(Filter):
    """Leave out what there is too much of: what stays is drawn by a hash of the ids.

    The draw does not change while data grow, as far as the cap does not.
    """

    Options = CapOptions
    options: CapOptions

    @property
    def target(self) -> Target:
        return "response" if self.options.by == "model" else "prompt"

    def find(self, items: Items) -> Iterator[Decision]:
        groups: dict[str, list[Item]] = defaultdict(list)
        for item in items:
            groups[getattr(item, self.options.by) or ""].append(item)
        if self.options.shares:
            yield from self._draw_mix(groups)
            return
        caps = [self.options.most] if self.options.most is not None else []
        if self.options.share is not None and len(groups) > 1:
            caps.append(_cap_shares([len(group) for group in groups.values()], self.options.share))
        for name, group in groups.items():
            yield from self._draw(group, min(caps, default=len(group)), name)

    def _draw_mix(self, groups: Mapping[str, Sequence[Item]]) -> Iterator[Decision]:
        """Keep as many as there can be in the shares of the mix, and at most `most` of each."""
        shares = self.options.shares
        if absent := [name for name in shares if name not in groups]:
            raise CurateError(
                f"The filter {self.options.name} is to mix in {', '.join(absent)}, but nothing has that "
                f"{self.options.by} (there are {', '.join(sorted(filter(None, groups))) or 'none'}): mend `shares`."
            )
        others = [item for name, group in groups.items() if name not in shares for item in group]
        parts = {name: (groups[name], share) for name, share in shares.items()}
        if others:
            parts["others"] = (others, max(0.0, round(1 - sum(shares.values()), 9)))
        total = min(len(group) / share for group, share in parts.values() if share)
        for name, (group, share) in parts.items():
            kept = int(total * share + 1e-6)
            yield from self._draw(group, min(kept, self.options.most or kept), name)

    def _draw(self, group: Sequence[Item], kept: int, name: str) -> Iterator[Decision]:
        drawn = sorted(group, key=lambda item: blake2b(item.id.encode(), digest_size=8).digest())
        for item in drawn[kept:]:
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
