"""Which items repeat an earlier one, of pairs that are alike: only in one context, and only with equal numbers."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from curate.data.minhash import SimilarPairs, choose_repeats
from curate.filter.base import Item


def find_repeats(
    items: Sequence[Item],
    pairs: SimilarPairs,
    *,
    groups: Sequence[Hashable],
    numbers: NDArray[np.uint64] | None,
) -> Iterator[tuple[Item, Item, float]]:
    """Yield each item that repeats an earlier one, which stays: the item, the earlier one, and how alike they are.

    Args:
        items: N items.
        pairs: Pairs of them that are alike.
        groups: N values; items of different groups do not repeat each other.
        numbers: uint64[N], a hash of the numbers in each text, where texts with other numbers are others; else None.
    """
    names = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    group = np.array([names[name] for name in groups], np.int64)
    allowed = group[pairs.earlier] == group[pairs.later]
    if numbers is not None:
        allowed &= numbers[pairs.earlier] == numbers[pairs.later]
    for later, earlier, likeness in zip(*choose_repeats(pairs, allowed), strict=True):
        yield items[later], items[earlier], float(likeness)
