"""Prompts that repeat an earlier one: word by word, or nearly (MinHash, then the exact overlap)."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from curate.data.minhash import find_similar_pairs
from curate.data.shingles import hash_shingles
from curate.filter.base import Decision, Filter, FilterOptions, Items, Target
from curate.filter.repeats import find_repeats


class DuplicatesOptions(FilterOptions):
    """Options of `duplicates`."""

    of: Target = Field("prompt", description="What is compared: prompts, or the responses of one prompt.")
    threshold: float = Field(
        0.8, gt=0.3, le=1, description="Least overlap (Jaccard index of their shingles); 1: the same words."
    )
    words: int = Field(5, ge=1, le=50, description="Words of a shingle.")
    numbers: bool = Field(
        True,
        description="Texts whose numbers differ are different: 'add 2 and 3' does not repeat 'add 2 and 4'.",
    )


class Duplicates(Filter):
    """Leave out what repeats something earlier, which stays.

    Prompts are compared by their last message; earlier turns, system messages, tools and images must be equal.
    """

    Options = DuplicatesOptions
    options: DuplicatesOptions

    @property
    def target(self) -> Target:
        return self.options.of

    def find(self, items: Items) -> Iterator[Decision]:
        listed = list(items)
        shingles = hash_shingles((item.text for item in listed), n=self.options.words)
        pairs = find_similar_pairs(shingles, self.options.threshold)
        groups = [item.prompt_id if self.target == "response" else item.context for item in listed]
        numbers = shingles.numbers if self.options.numbers else None
        for item, earlier, overlap in find_repeats(listed, pairs, groups=groups, numbers=numbers):
            reason = "repeats an earlier one" if overlap == 1 else "nearly repeats an earlier one"
            yield Decision(item, reason, overlap, earlier.id)
