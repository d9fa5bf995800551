"""Prompts that stand in a benchmark: the same 13 words in a row, or most of the benchmark's text slightly changed.

Brown et al. 2020 (GPT-3, arXiv 2005.14165, appendix C) take 13 words; Yang et al. 2023 (arXiv 2311.04850) show that a
change of a few words escapes such a rule, so a text is also found by the share of its short shingles.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import Field

from curate.core.errors import CurateError
from curate.data.shingles import UInt32, hash_shingles
from curate.filter.base import Decision, Filter, FilterOptions, Item, Items
from curate.filter.benchmark_texts import digest_file, read_texts
from curate.filter.containment import ContainmentIndex

_BATCH = 20_000  # items


class ContaminationOptions(FilterOptions):
    """Options of `contamination`."""

    against: list[str] = Field(
        min_length=1,
        description="Files of benchmarks (JSON Lines, JSON, CSV or Parquet): every text in them counts.",
    )
    words: int = Field(13, ge=4, le=50, description="So many words in a row of a benchmark are a leak.")
    share: float = Field(
        0.6, gt=0.2, le=1, description="So is so large a share of a benchmark text's runs of three words."
    )
    least: int = Field(8, ge=4, description="Words that a benchmark's text must have to be looked for.")


class Contamination(Filter):
    """Leave out prompts that stand in a benchmark, or of which one stands in them."""

    Options = ContaminationOptions
    options: ContaminationOptions

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(digest_file(path) for path in self._locate())

    def find(self, items: Items) -> Iterator[Decision]:
        texts = [
            (path.name, text)
            for path in self._locate()
            for text in read_texts(path)
            if len(text.split()) >= self.options.least or not text.isascii()
        ]
        if not texts:
            names = ", ".join(self.options.against)
            raise CurateError(
                f"The filter {self.options.name} finds no text of {self.options.least} words in {names}: name files "
                "of benchmarks under `against`, or lower `least`."
            )
        runs = np.unique(hash_shingles((text for _, text in texts), n=self.options.words).hashes)
        index = ContainmentIndex.build([text for _, text in texts], least=self.options.least)
        batch: list[Item] = []
        for item in items:
            batch.append(item)
            if len(batch) == _BATCH:
                yield from self._compare(batch, texts, runs, index)
                batch = []
        yield from self._compare(batch, texts, runs, index)

    def _compare(
        self, items: list[Item], texts: list[tuple[str, str]], runs: UInt32, index: ContainmentIndex
    ) -> Iterator[Decision]:
        whole = [f"{item.history}\n{item.text}" if item.history else item.text for item in items]
        shingles = hash_shingles(whole, n=self.options.words)
        places = np.minimum(np.searchsorted(runs, shingles.hashes), max(len(runs) - 1, 0))
        hits = np.concatenate([[0], np.cumsum(runs[places] == shingles.hashes)])
        shared = hits[shingles.bounds[1:]] - hits[shingles.bounds[:-1]]
        best, share = index.find_most_contained(whole)
        for at, item in enumerate(items):
            name = texts[best[at]][0] if best[at] >= 0 else None
            if share[at] >= self.options.share:
                yield Decision(item, f"stands in the benchmark {name}", float(share[at]), name)
            elif shared[at]:
                yield Decision(
                    item, f"has {self.options.words} words in a row of a benchmark", float(shared[at]), name
                )

    def _locate(self) -> list[Path]:
        paths = []
        for name in self.options.against:
            files = sorted(self.folder.glob(name)) if not Path(name).is_absolute() else [Path(name)]
            files = [path for path in files if path.is_file()]
            if not files:
                raise CurateError(
                    f"The filter {self.options.name} is to compare with {name}, but there is no such file in "
                    f"{self.folder}: mend `against`."
                )
            paths += files
        return paths
