"""Measure how much of a known text stands in another one: the share of its shingles of three words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.core.kernels import compile_kernel
from curate.data.shingles import Int64, UInt32, hash_shingles

_WORDS = 3


@dataclass(frozen=True, slots=True)
class ContainmentIndex:
    """The shingles of T known texts, by hash.

    Attributes:
        hashes: uint32[S], sorted.
        owners: int64[S]: the text of each.
        sizes: int64[T]: number of shingles of each; 0 for one that is too short to be looked for.
    """

    hashes: UInt32
    owners: Int64
    sizes: Int64

    @classmethod
    def build(cls, texts: Sequence[str], *, least: int) -> ContainmentIndex:
        """Index texts; those of fewer than `least` words are left out."""
        shingles = hash_shingles(texts, n=_WORDS)
        sizes = np.diff(shingles.bounds)
        owners = np.repeat(np.arange(len(sizes)), sizes)
        sizes = np.where(sizes + _WORDS - 1 >= least, sizes, 0)
        kept = sizes[owners] > 0
        order = np.argsort(shingles.hashes[kept], kind="stable")
        return cls(shingles.hashes[kept][order], owners[kept][order], sizes)

    def find_most_contained(self, texts: Sequence[str]) -> tuple[Int64, NDArray[np.float64]]:
        """Find, for each text, the known text of which most stands in it.

        Returns:
            int64[N] numbers of known texts, -1 where nothing is shared, and float64[N] the shares of their shingles.
        """
        shingles = hash_shingles(texts, n=_WORDS)
        return _find_most_contained(shingles.hashes, shingles.bounds, self.hashes, self.owners, self.sizes)


@compile_kernel
def _find_most_contained(
    hashes: UInt32, bounds: Int64, known: UInt32, owners: Int64, sizes: Int64
) -> tuple[Int64, NDArray[np.float64]]:
    texts = len(bounds) - 1
    best, share = np.full(texts, -1, np.int64), np.zeros(texts)
    counts = np.zeros(len(sizes), np.int64)
    touched = np.empty(len(sizes), np.int64)
    for i in range(texts):
        number = 0
        for place in range(bounds[i], bounds[i + 1]):
            at = np.searchsorted(known, hashes[place])
            while at < len(known) and known[at] == hashes[place]:
                owner = owners[at]
                if counts[owner] == 0:
                    touched[number] = owner
                    number += 1
                counts[owner] += 1
                at += 1
        for owner in touched[:number]:
            part = counts[owner] / sizes[owner]
            if part > share[i]:
                best[i], share[i] = owner, part
            counts[owner] = 0
    return best, share
