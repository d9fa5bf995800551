"""Texts as sets of shingles: hashes of n words in a row, which near-duplicates share.

Words are runs of letters and digits, in lower case; a Chinese, Japanese or Korean character is a word by itself, since
there are no blanks between its words. A text of fewer than n words has one shingle, all of it. After Broder 1997, "On
the resemblance and containment of documents".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.core.kernels import compile_kernel

UInt32 = NDArray[np.uint32]
UInt64 = NDArray[np.uint64]
Int64 = NDArray[np.int64]

_BATCH = 1 << 23  # bytes of text that are hashed at once
_PRIME = np.uint64(1099511628211)  # FNV-1a
_START = np.uint64(14695981039346656037)
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Shingles:
    """The shingles of N texts.

    Attributes:
        hashes: uint32[S], sorted and each once within a text.
        bounds: int64[N + 1]: those of text i are `hashes[bounds[i]:bounds[i + 1]]`.
        numbers: uint64[N]: a hash of the numbers of each text in their order; 0 where there are none.
    """

    hashes: UInt32
    bounds: Int64
    numbers: UInt64

    def __len__(self) -> int:
        return len(self.numbers)


def hash_shingles(texts: Iterable[str], *, n: int) -> Shingles:
    """Hash the shingles of texts.

    Args:
        texts: Any texts; case, compatibility forms (NFKC), punctuation and white space do not count.
        n: Words of a shingle.
    """
    hashes, sizes, numbers = [], [], []
    for data, bounds in _batch_texts(texts):
        flat, size, number = _shingle_batch(data, bounds, n)
        hashes.append(flat)
        sizes.append(size)
        numbers.append(number)
    if not sizes:
        return Shingles(np.empty(0, np.uint32), np.zeros(1, np.int64), np.empty(0, np.uint64))
    bounds = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
    return Shingles(np.concatenate(hashes), bounds, np.concatenate(numbers))


def normalize_text(text: str) -> str:
    """Return the text as it is hashed: NFKC and lower case."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def _batch_texts(texts: Iterable[str]) -> Iterator[tuple[NDArray[np.uint8], Int64]]:
    batch: list[bytes] = []
    size = 0
    for text in texts:
        data = normalize_text(text).encode("utf-8", "replace")
        batch.append(data)
        size += len(data)
        if size >= _BATCH:
            yield _join_batch(batch)
            batch, size = [], 0
    if batch:
        yield _join_batch(batch)


def _join_batch(batch: list[bytes]) -> tuple[NDArray[np.uint8], Int64]:
    bounds = np.concatenate([[0], np.cumsum([len(data) for data in batch])]).astype(np.int64)
    return np.frombuffer(b"".join(batch), np.uint8), bounds


@compile_kernel
def _mix(value: np.uint64, word: np.uint64) -> np.uint64:
    value = (value ^ word) * _MIX
    return value ^ (value >> np.uint64(29))


def _shingle_batch(data: NDArray[np.uint8], bounds: Int64, n: int) -> tuple[UInt32, Int64, UInt64]:
    texts = len(bounds) - 1
    flat = np.empty(len(data) // 2 + 2 * texts + 2, np.uint64)
    words = np.empty(int(np.diff(bounds).max(initial=0)) // 2 + 2, np.uint64)
    numbers = np.zeros(texts, np.uint64)
    count = _list_shingles(data, bounds, n, words, flat, numbers)
    # The text in the upper half, its shingle in the lower one: one sort brings both into order.
    distinct = np.unique(flat[:count])
    sizes = np.bincount((distinct >> np.uint64(32)).astype(np.int64), minlength=texts)
    return distinct.astype(np.uint32), sizes, numbers


@compile_kernel
def _list_shingles(
    data: NDArray[np.uint8], bounds: Int64, n: int, words: UInt64, flat: UInt64, numbers: UInt64
) -> int:
    """Write text · 2³² + shingle into `flat`, as they come, and return how many there are."""
    end = 0
    for i in range(len(bounds) - 1):
        count, numbers[i] = _hash_words(data[bounds[i] : bounds[i + 1]], words)
        width = min(n, count)
        for start in range(count - width + 1 if count else 0):
            value = np.uint64(width)
            for word in words[start : start + width]:
                value = _mix(value, word)
            flat[end] = (np.uint64(i) << np.uint64(32)) | (value >> np.uint64(32))
            end += 1
    return end


@compile_kernel
def _hash_words(text: NDArray[np.uint8], words: UInt64) -> tuple[int, np.uint64]:
    """Write the hash of each word of UTF-8 text into `words`; return their count, and a hash of those with digits."""
    count, at, numbers = 0, 0, np.uint64(0)
    while at < len(text):
        value, has_digit, begun = _START, False, at
        while at < len(text):
            byte = text[at]
            if 0xE3 <= byte <= 0xED:  # a character of Chinese, Japanese or Korean, three bytes
                if at == begun:
                    for step in range(min(3, len(text) - at)):
                        value = (value ^ np.uint64(text[at + step])) * _PRIME
                    at = min(at + 3, len(text))
                break
            is_digit = 48 <= byte <= 57
            if not (is_digit or 97 <= byte <= 122 or byte >= 0x80):
                break
            has_digit |= is_digit
            value = (value ^ np.uint64(byte)) * _PRIME
            at += 1
        if at == begun:
            at += 1
            continue
        words[count] = value
        count += 1
        if has_digit:
            numbers = _mix(numbers, value)
    return count, numbers
