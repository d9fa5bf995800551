"""Prompts that ask what an earlier one asks, in other words: their sentence embeddings are nearly the same."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from curate.data.cosine import find_close_pairs
from curate.data.shingles import hash_shingles
from curate.filter.base import Decision, Filter, FilterOptions, Items
from curate.filter.repeats import find_repeats


class SemanticDuplicatesOptions(FilterOptions):
    """Options of `semantic-duplicates`."""

    threshold: float = Field(0.95, gt=0, le=1, description="Least cosine of two embeddings.")
    embedder: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        description="Sentence-embedding model: a folder, pypi:PACKAGE, or owner/name on the hub.",
    )
    numbers: bool = Field(
        True,
        description="Texts whose numbers differ are different: 'add 2 and 3' does not repeat 'add 2 and 4'.",
    )


class SemanticDuplicates(Filter):
    """Leave out prompts that mean what an earlier one means, which stays.

    Prompts are compared by their last message; earlier turns, system messages, tools and images must be equal.
    """

    Options = SemanticDuplicatesOptions
    options: SemanticDuplicatesOptions

    def find(self, items: Items) -> Iterator[Decision]:
        from curate.engine.local.embeddings import CachedEmbedder  # torch, only where it is used

        listed = list(items)
        if len(listed) < 2:
            return
        folder = self.folder / self.options.embedder
        name = str(folder) if folder.is_dir() else self.options.embedder
        texts = [item.text for item in listed]
        pairs = find_close_pairs(CachedEmbedder(name, cache=self.cache).embed(texts), self.options.threshold)
        contexts = [item.context for item in listed]
        numbers = hash_shingles(texts, n=1).numbers if self.options.numbers else None
        for item, earlier, cosine in find_repeats(listed, pairs, groups=contexts, numbers=numbers):
            yield Decision(item, "means what an earlier one means", cosine, earlier.id)
