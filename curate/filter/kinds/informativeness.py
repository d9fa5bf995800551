"""Prompts that tell little: everybody says the same of their responses, nobody tells them apart, or all is too easy.

Three measures of a prompt, each from 0 to 1, of what annotators say of its pairs (verdicts 1, -1, or 0 for a tie):

- spread: how little annotators agree, the variance of verdicts, averaged over pairs with verdicts of two or more;
- discriminability: the share of pairs of which most annotators name a winner, as benchmarks are chosen by how well
  they separate models (Arena-Hard, Li et al. 2024, arXiv 2406.11939);
- hardness: the share of pairs that the model which wins less often elsewhere wins or ties. It needs names of models.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import fmean, pvariance

from pydantic import Field

from curate.filter.base import Decision, Filter, FilterOptions, Item, Items, Target

_MEASURES = ("spread", "discriminability", "hardness")


class InformativenessOptions(FilterOptions):
    """Options of `informativeness`."""

    least_spread: float | None = Field(None, ge=0, le=1, description="Least disagreement of annotators.")
    most_spread: float | None = Field(None, ge=0, le=1, description="Most: beyond, verdicts are a lottery.")
    least_discriminability: float = Field(0.1, ge=0, le=1, description="Least share of pairs with a winner.")
    least_hardness: float | None = Field(None, ge=0, le=1, description="Least share of upsets and ties.")
    most_hardness: float | None = Field(None, ge=0, le=1, description="Most share of upsets and ties.")
    votes: int = Field(2, ge=2, description="Annotators that a pair must have for its spread to count.")


class Informativeness(Filter):
    """Leave out prompts that tell little. Prompts of which nobody has said anything stay."""

    Options = InformativenessOptions
    options: InformativenessOptions

    @property
    def reads(self) -> Target:
        return "pair"

    def find(self, items: Items) -> Iterator[Decision]:
        strengths = measure_strengths(items)
        prompts: dict[str, list[Item]] = defaultdict(list)
        for item in items:
            prompts[item.prompt_id].append(item)
        for prompt_id, pairs in prompts.items():
            values = (
                measure_spread(pairs, self.options.votes),
                fmean(pair.verdict != 0 for pair in pairs),
                measure_hardness(pairs, strengths),
            )
            for name, value in zip(_MEASURES, values, strict=True):
                if value is not None and (flaw := self._compare(name, value)):
                    first = pairs[0]
                    yield Decision(
                        Item(prompt_id, prompt_id, "", first.source, category=first.category), flaw, value
                    )
                    break

    def _compare(self, name: str, value: float) -> str | None:
        least, most = (getattr(self.options, f"{end}_{name}", None) for end in ("least", "most"))
        if least is not None and value < least:
            return f"has little {name}"
        return f"has too much {name}" if most is not None and value > most else None


def measure_spread(pairs: Sequence[Item], votes: int) -> float | None:
    """Compute how little annotators agree on pairs with so many `votes`; None where there is no such pair."""
    spreads = [pvariance(pair.votes.values()) for pair in pairs if len(pair.votes) >= votes]
    return fmean(spreads) if spreads else None


def measure_hardness(pairs: Sequence[Item], strengths: dict[str, float]) -> float | None:
    """Compute the share of pairs that the model of less strength wins or ties; None where no pair has two models."""
    upsets = []
    for pair in pairs:
        a, b = (strengths.get(model or "") for model in pair.models)
        if a is not None and b is not None and a != b:
            upsets.append(pair.verdict * (a - b) <= 0)
    return fmean(upsets) if upsets else None


def measure_strengths(items: Items) -> dict[str, float]:
    """Compute each model's mean verdict (1 won, -1 lost) over its pairs with other models."""
    verdicts: dict[str, list[int]] = defaultdict(list)
    for item in items:
        a, b = item.models
        if a and b and a != b:
            verdicts[a].append(item.verdict)
            verdicts[b].append(-item.verdict)
    return {model: fmean(values) for model, values in verdicts.items()}
