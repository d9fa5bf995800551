"""Pairs of vectors that point nearly the same way: exactly for a few ten thousand, by clusters beyond."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from curate.data.minhash import SimilarPairs

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

EXACT = 50_000  # vectors that are all compared with each other: about ten seconds on two cores
_BLOCK = 2048  # vectors a matrix product
_CLUSTER = 4096  # mean size of a cluster
_NEAREST = 3  # clusters of a vector: a pair at the border of one shares another
_ROUNDS = 8  # of Lloyd's algorithm


def find_close_pairs(vectors: Float32, threshold: float, *, exact: int = EXACT) -> SimilarPairs:
    """Find the pairs whose cosine is at least a threshold.

    Beyond `exact` vectors only those that share a cluster are compared (SemDeDup, Abbas et al. 2023), each being in
    the three that are nearest.

    Args:
        vectors: float32[N, d] of length 1.
        threshold: Least cosine.
        exact: Most vectors that are all compared with each other.

    Returns:
        The pairs, ascending by their later vector; `overlap` is their cosine.
    """
    total = len(vectors)
    clusters = [np.arange(total)] if total <= exact else _cluster_vectors(vectors)
    keys: list[Int64] = [np.empty(0, np.int64)]
    cosines: list[Float32] = [np.empty(0, np.float32)]
    for members in clusters:
        for earlier, later, cosine in _compare_members(vectors, members, threshold):
            keys.append(later * total + earlier)
            cosines.append(cosine)
    pairs, first = np.unique(np.concatenate(keys), return_index=True)
    later, earlier = np.divmod(pairs, max(total, 1))
    return SimilarPairs(earlier, later, np.concatenate(cosines)[first].astype(np.float64))


def _compare_members(
    vectors: Float32, members: Int64, threshold: float
) -> Iterator[tuple[Int64, Int64, Float32]]:
    """Yield the close pairs among ascending members: numbers of the earlier and the later ones, and cosines."""
    chosen = vectors[members]
    for start in range(0, len(members), _BLOCK):
        stop = min(start + _BLOCK, len(members))
        cosines = chosen[start:stop] @ chosen[:stop].T
        is_earlier = np.arange(stop) < np.arange(start, stop)[:, None]
        row, column = np.nonzero((cosines >= threshold) & is_earlier)
        yield members[column], members[row + start], cosines[row, column]


def _cluster_vectors(vectors: Float32) -> list[Int64]:
    """Cluster by spherical k-means; returns the ascending members of each cluster."""
    rng = np.random.default_rng(0)
    count = -(-len(vectors) // _CLUSTER)
    sample = vectors[rng.choice(len(vectors), min(len(vectors), 64 * count), replace=False)]
    centres = sample[:count].copy()
    for _ in range(_ROUNDS):
        nearest = np.argmax(sample @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        filled = np.bincount(nearest, minlength=count) > 0
        centres[filled] = sums[filled] / np.linalg.norm(sums[filled], axis=1, keepdims=True).clip(1e-12)
    kept = min(_NEAREST, count)
    nearest = np.concatenate([
        np.argpartition(vectors[start : start + _BLOCK] @ centres.T, count - kept, axis=1)[:, count - kept :]
        for start in range(0, len(vectors), _BLOCK)
    ])  # fmt: skip
    return [np.flatnonzero((nearest == number).any(axis=1)) for number in range(count)]
