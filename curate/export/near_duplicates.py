"""Texts that are nearly the same, found by MinHash (Broder 1997) without comparing each with every other.

A text is the set of its runs of three words, after normalisation; the similarity of two texts is the share of runs that
they have in common (Jaccard). A signature keeps the smallest value of each of 120 hash functions over the set; the part
of equal values estimates the similarity (standard error 0.037 at 0.8). Only texts whose values agree in one of 20 bands
of 6 are compared: at a similarity of 0.8 that is so for 99.7 % of them.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_WORDS_PER_RUN = 3
_BANDS, _VALUES_PER_BAND = 20, 6
_PRIME = np.uint64(4_294_967_311)  # the least above 2**32
_RUNS_AT_ONCE = 4_096
_MOST_COMPARED = 64  # older texts of a band that a text is compared with: the nearest in age
_PAIRS_AT_ONCE = 65_536
_random = np.random.default_rng(20_010_101)
_FACTORS = _random.integers(1, 2**31, _BANDS * _VALUES_PER_BAND, dtype=np.uint64)[:, None]
_OFFSETS = _random.integers(0, 2**31, _BANDS * _VALUES_PER_BAND, dtype=np.uint64)[:, None]


def normalize_text(text: str) -> str:
    """Return the words of a text in small letters, without what stands between them."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"\w+", folded)) or folded.strip()


def find_near_pairs(texts: Iterable[str], similarity: float) -> Iterator[tuple[int, int]]:
    """Yield (place of a text, place of an older one) where both are at least so similar.

    Which pairs are found for a text depends on older texts only: those that come later change nothing.

    Args:
        texts: Normalised texts, all different, the oldest first.
        similarity: Least part of runs of words in common, 0 … 1.
    """
    signatures = np.array([sign_text(text) for text in texts], np.uint32).reshape(
        -1, _BANDS * _VALUES_PER_BAND
    )
    for band in range(_BANDS):
        values = signatures[:, band * _VALUES_PER_BAND : (band + 1) * _VALUES_PER_BAND]
        order = np.lexsort((np.arange(len(values)), *values.T))
        sorted_values = values[order]
        is_same = (sorted_values[1:] == sorted_values[:-1]).all(axis=1)  # as the one before
        starts = np.concatenate([[True], ~is_same])
        first = np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
        for distance in range(1, _MOST_COMPARED + 1):
            places = np.flatnonzero(np.arange(len(order)) - distance >= first)
            if not len(places):
                break
            yield from _compare(signatures, order[places], order[places - distance], similarity)


def _compare(
    signatures: NDArray[np.uint32], young: NDArray[np.int64], old: NDArray[np.int64], similarity: float
) -> Iterator[tuple[int, int]]:
    for start in range(0, len(young), _PAIRS_AT_ONCE):
        some, others = young[start : start + _PAIRS_AT_ONCE], old[start : start + _PAIRS_AT_ONCE]
        near = (signatures[some] == signatures[others]).mean(axis=1) >= similarity
        yield from zip(some[near].tolist(), others[near].tolist(), strict=True)


def sign_text(text: str) -> NDArray[np.uint32]:
    """Return the signature of a normalised text: uint32[120]."""
    hashes = np.fromiter(map(zlib.crc32, _list_runs(text.split(" "))), np.uint64)
    smallest = np.full(len(_FACTORS), np.iinfo(np.uint64).max, np.uint64)
    for start in range(0, len(hashes), _RUNS_AT_ONCE):
        values = (_FACTORS * hashes[start : start + _RUNS_AT_ONCE] + _OFFSETS) % _PRIME
        smallest = np.minimum(smallest, values.min(axis=1))
    return smallest.astype(np.uint32)


def _list_runs(words: Sequence[str]) -> set[bytes]:
    last = max(1, len(words) - _WORDS_PER_RUN + 1)
    return {" ".join(words[start : start + _WORDS_PER_RUN]).encode() for start in range(last)}
