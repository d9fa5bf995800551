"""Near-duplicates among many texts: MinHash signatures, bands of them that agree, and the exact overlap in the end.

Broder 1997; Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4. No pair is reported on the word of
a signature: the overlap (Jaccard index) of the shingles of every candidate is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.core.kernels import compile_kernel, over_slices
from curate.data.shingles import Int64, Shingles, UInt32, UInt64

_HASHES = 128  # of a signature, at most
_RECALL = 0.995  # of pairs that are as alike as the threshold says
_UNION = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class SimilarPairs:
    """Pairs of texts, ascending by `later`, then by `earlier`.

    Attributes:
        earlier: int64[P], smaller number of the two texts.
        later: int64[P].
        overlap: float64[P], Jaccard index of their shingles.
    """

    earlier: Int64
    later: Int64
    overlap: NDArray[np.float64]


def choose_bands(threshold: float) -> tuple[int, int]:
    """Choose bands and rows of a band: the most rows at which a pair at the threshold is found with 99.5 %."""
    rows = 1
    while True:
        wider = rows + 1
        recall = 1 - (1 - threshold**wider) ** (_HASHES // wider)
        if recall < _RECALL or wider > _HASHES // 2:
            return _HASHES // rows, rows
        rows = wider


def find_similar_pairs(shingles: Shingles, threshold: float) -> SimilarPairs:
    """Find pairs of texts whose shingles overlap by at least `threshold` (Jaccard index).

    Of a group of texts that agree in a band, each is compared with the first one and the one before it, so that the
    work grows with the texts and not with their pairs; texts without words have no pairs.
    """
    bands, rows = choose_bands(threshold)
    draw = np.random.default_rng(20_240_601)
    factors = draw.integers(1, 2**63, bands * rows, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    shifts = draw.integers(0, 2**63, bands * rows, dtype=np.uint64)
    keys = np.zeros((bands, len(shingles)), np.uint64)
    over_slices(
        lambda first, last: _hash_bands(
            first, last, shingles.hashes, shingles.bounds, factors, shifts, rows, keys
        ),
        np.diff(shingles.bounds) + 1,
    )
    texts = np.flatnonzero(np.diff(shingles.bounds) > 0)
    candidates: Int64 = np.empty(0, np.int64)
    total = len(shingles)
    for band in range(bands):
        candidates = np.union1d(candidates, _list_candidates(keys[band, texts], texts, total))
    later, earlier = np.divmod(candidates, total)
    overlap = np.zeros(len(earlier))
    over_slices(
        lambda first, last: _compute_overlaps(
            first, last, shingles.hashes, shingles.bounds, earlier, later, overlap
        ),
        np.ones(len(earlier), np.int64),
    )
    alike = overlap >= threshold
    return SimilarPairs(earlier[alike], later[alike], overlap[alike])


def choose_repeats(
    pairs: SimilarPairs, allowed: NDArray[np.bool_]
) -> tuple[Int64, Int64, NDArray[np.float64]]:
    """Choose what to leave out, so that everything left out has a text like it that stays.

    Args:
        pairs: The similar pairs.
        allowed: bool[P]: pairs that count.

    Returns:
        The texts to leave out int64[R], ascending, for each the text that it repeats, and their overlap.
    """
    gone: dict[int, tuple[int, float]] = {}
    for at in np.flatnonzero(allowed):
        earlier, later = int(pairs.earlier[at]), int(pairs.later[at])
        if earlier not in gone and later not in gone:
            gone[later] = (earlier, float(pairs.overlap[at]))
    texts = np.array(list(gone), np.int64)
    return (
        texts,
        np.array([earlier for earlier, _ in gone.values()], np.int64),
        np.array([overlap for _, overlap in gone.values()], np.float64),
    )


def _list_candidates(keys: UInt64, texts: Int64, total: int) -> Int64:
    """List pairs of texts with equal keys as `later · total + earlier`: each with the first and with the one before."""
    order = np.argsort(keys, kind="stable")
    ordered, numbers = keys[order], texts[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
    if len(same) == 0:
        return np.empty(0, np.int64)
    starts = np.maximum.accumulate(
        np.where(np.r_[True, ordered[1:] != ordered[:-1]], np.arange(len(ordered)), 0)
    )
    with_first = numbers[same] * total + numbers[starts[same]]
    with_previous = numbers[same] * total + numbers[same - 1]
    pairs: Int64 = np.unique(np.concatenate([with_first, with_previous]))
    return pairs


@compile_kernel
def _hash_bands(
    first: int,
    last: int,
    hashes: UInt32,
    bounds: Int64,
    factors: UInt64,
    shifts: UInt64,
    rows: int,
    keys: UInt64,
) -> None:
    """Write the key of each band of the MinHash signatures of texts `first … last-1` into `keys` uint64[bands, N]."""
    bands = len(factors) // rows
    for i in range(first, last):
        least = np.full(len(factors), np.uint64(0xFFFFFFFFFFFFFFFF))
        for place in range(bounds[i], bounds[i + 1]):
            value = np.uint64(hashes[place])
            for k in range(len(factors)):
                least[k] = min(least[k], value * factors[k] + shifts[k])
        for band in range(bands):
            key = np.uint64(band)
            for k in range(band * rows, (band + 1) * rows):
                key = (key ^ least[k]) * _UNION
                key ^= key >> np.uint64(29)
            keys[band, i] = key


@compile_kernel
def _compute_overlaps(
    first: int,
    last: int,
    hashes: UInt32,
    bounds: Int64,
    earlier: Int64,
    later: Int64,
    result: NDArray[np.float64],
) -> None:
    for pair in range(first, last):
        i, end_i = bounds[earlier[pair]], bounds[earlier[pair] + 1]
        j, end_j = bounds[later[pair]], bounds[later[pair] + 1]
        shared, size = 0, (end_i - i) + (end_j - j)
        while i < end_i and j < end_j:
            if hashes[i] == hashes[j]:
                shared += 1
                i += 1
                j += 1
            elif hashes[i] < hashes[j]:
                i += 1
            else:
                j += 1
        if size:
            result[pair] = shared / (size - shared)
