"""One-sided sources: a model that always wins a topic there, or an annotator who contradicts all others in one topic.

Poisoned preference data is a small part whose verdicts follow a rule of somebody's own (a topic, a model, a name)
while the rest is sound (Baumgaertner et al. 2024, "Best-of-Venom", arXiv 2404.05530). Both show as a part that differs
from the rest of the same data, so each part is compared with the others: what holds everywhere is no sign.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from curate.filter.base import Decision, Filter, FilterOptions, Item, Items, Target
from curate.stats.intervals import wilson_interval

Part = tuple[str, str]
"""A part of the data by source and category ("" where it is not told apart), and a model or annotator in it."""


class OneSidedOptions(FilterOptions):
    """Options of `one-sided`."""

    action: Literal["drop", "report"] = Field(
        "report",
        description="report: pairs are only counted, for a person to look at. drop: exports leave them out.",
    )
    by: list[Literal["source", "category"]] = Field(
        ["source", "category"], min_length=1, description="What parts the data, together."
    )
    least: int = Field(40, ge=5, description="Fewest decided pairs of a model or annotator in a part.")
    wins: float = Field(0.9, gt=0.5, le=1, description="A model that wins more there is suspect, and")
    contradicts: float = Field(
        0.6, gt=0.5, le=1, description="an annotator who contradicts more of the others' winners there,"
    )
    contrast: float = Field(
        0.2, ge=0, lt=1, description="but not if its share in the other parts is less than so much below."
    )


@dataclass(slots=True)
class Tally:
    """Decided pairs, and how many of them were won (of a model) or contradicted (of an annotator)."""

    pairs: int = 0
    hits: int = 0

    def add(self, hit: bool) -> None:
        self.pairs += 1
        self.hits += hit

    @property
    def share(self) -> float:
        return self.hits / self.pairs if self.pairs else 0.0


@dataclass(slots=True)
class Tallies:
    """Tallies of each model or annotator: in each part, and in all of them."""

    parts: dict[str, dict[Part, Tally]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Tally))
    )
    whole: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))

    def add(self, name: str, part: Part, hit: bool) -> None:
        self.parts[name][part].add(hit)
        self.whole[name].add(hit)

    def find_outliers(self, most: float, options: OneSidedOptions) -> dict[tuple[str, Part], Tally]:
        """Find who has surely (at 95 %) more than `most` hits in a part, and `contrast` more than in the others."""
        outliers = {}
        for name, parts in self.parts.items():
            for part, tally in parts.items():
                if tally.pairs < options.least:
                    continue
                low, _ = wilson_interval(tally.hits, tally.pairs)
                whole = self.whole[name]
                others = Tally(whole.pairs - tally.pairs, whole.hits - tally.hits)
                is_everywhere = (
                    others.pairs >= options.least and tally.share - others.share < options.contrast
                )
                if low > most and not is_everywhere:
                    outliers[name, part] = tally
        return outliers


class OneSided(Filter):
    """Find pairs of one-sided parts. Somebody should look at them: a strong model may win all of an easy topic."""

    Options = OneSidedOptions
    options: OneSidedOptions

    @property
    def target(self) -> Target:
        return "pair"

    def find(self, items: Items) -> Iterator[Decision]:
        models, annotators = Tallies(), Tallies()
        for item in items:
            part = self._name_part(item)
            for model, won in list_winners(item).items():
                models.add(model, part, won)
            for annotator, contradicts in list_contradictions(item).items():
                annotators.add(annotator, part, contradicts)
        winners = models.find_outliers(self.options.wins, self.options)
        contrary = annotators.find_outliers(self.options.contradicts, self.options)
        for item in items:
            part = self._name_part(item)
            where = " and ".join(name for name in part if name) or "all data"
            for model, won in list_winners(item).items():
                if won and (tally := winners.get((model, part))):
                    yield Decision(item, f"{model} wins {_count(tally)} in {where}", tally.share, model)
                    break
            else:
                for annotator in list_contradictions(item):
                    if tally := contrary.get((annotator, part)):
                        reason = f"{annotator} contradicts the others in {_count(tally)} in {where}"
                        yield Decision(item, reason, tally.share, annotator)
                        break

    def _name_part(self, item: Item) -> Part:
        by = self.options.by
        return item.source if "source" in by else "", (item.category or "") if "category" in by else ""


def list_winners(item: Item) -> Mapping[str, bool]:
    """Tell of both models of a decided pair whether they won; nothing where it has not two."""
    a, b = item.models
    return {a: item.verdict > 0, b: item.verdict < 0} if a and b and a != b and item.verdict else {}


def list_contradictions(item: Item) -> Mapping[str, bool]:
    """Tell of each annotator whether the verdict contradicts that of most others, where both name a winner."""
    total = sum(item.votes.values())
    return {
        name: verdict * (total - verdict) < 0
        for name, verdict in item.votes.items()
        if verdict and total != verdict
    }


def _count(tally: Tally) -> str:
    return f"{tally.hits:,} of {tally.pairs:,} pairs"
