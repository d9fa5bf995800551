"""Criteria that say the same: by their verdicts, or by their words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts → float32[n, d] vectors of length 1."""

_FEWEST_PAIRS = 10  # that both criteria tell apart, before their verdicts say that they are one
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Repeat:
    """A criterion that says what an earlier one says: `by` is "verdicts" or "words"."""

    of: int
    likeness: float
    by: str


def find_repeats(
    differences: Float64,
    texts: Sequence[str],
    order: Sequence[int],
    *,
    threshold: float,
    embed: Embed | None = None,
) -> dict[int, Repeat]:
    """Find criteria that repeat one before them in `order`; what repeats a repeat is held against the first.

    Args:
        differences: float64[n, d], not a number where nothing is known.
        texts: The sentences of the d criteria.
        order: Columns, the one to keep of several that say the same first.
        threshold: Likeness, from 0 to 1, from which two are one.
        embed: Likeness of words is that of their vectors; default: the share of words in common.

    Returns:
        Column → what it repeats, and how like it is.
    """
    by_verdicts = np.abs(compare_verdicts(differences))
    by_words = compare_words(texts, embed)
    kept: list[int] = []
    repeats: dict[int, Repeat] = {}
    for column in order:
        listed = [
            Repeat(other, float(likeness[column, other]), by)
            for other in kept
            for likeness, by in ((by_verdicts, "verdicts"), (by_words, "words"))
            if likeness[column, other] >= threshold
        ]
        if listed:
            repeats[column] = max(listed, key=lambda repeat: repeat.likeness)
        else:
            kept.append(column)
    return repeats


def compare_verdicts(differences: Float64) -> Float64:
    """Return float64[d, d]: correlation about 0 of the differences where both are known; 0 where hardly any are."""
    known = ~np.isnan(differences)
    values = np.nan_to_num(differences)
    products = values.T @ values
    squares = (values**2).T @ known.astype(np.float64)  # of the first, where the second is known too
    size = np.sqrt(squares * squares.T)
    both = (values != 0.0).astype(np.float64)
    enough = both.T @ both >= _FEWEST_PAIRS
    return np.where(enough & (size > 0.0), products / np.where(size > 0.0, size, 1.0), 0.0)


def compare_words(texts: Sequence[str], embed: Embed | None = None) -> Float64:
    """Return float64[d, d]: the share of words that two texts have in common, or how close their vectors are."""
    if embed is not None:
        vectors = embed(list(texts)).astype(np.float64)
        return np.asarray(vectors @ vectors.T, np.float64)
    words = [frozenset(_WORD.findall(text.lower())) for text in texts]
    return np.array(
        [[len(a & b) / len(a | b) if a | b else 0.0 for b in words] for a in words], np.float64
    ).reshape(len(words), len(words))
