"""Where hashes stand in a list of hashes: look-ups in a table with open addressing, from several threads."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curate.aggregate.kernels import compile_kernel, over_slices
from curate.aggregate.votes import Int32, Int64


def look_up_hashes(hashes: pa.ChunkedArray, known: pa.ChunkedArray) -> Int32:
    """int32[N], the place in `known` of each of `hashes`, -1 where it is not there. Both are uint64."""
    listed = known.combine_chunks().to_numpy().view(np.int64)
    table = np.full(1 << (2 * len(listed) + 1).bit_length(), -1, np.int32)
    _fill_table(listed, table)
    chunks = [chunk.to_numpy().view(np.int64) for chunk in hashes.chunks]
    sizes = np.array([len(chunk) for chunk in chunks], np.int64)
    found = np.empty(len(hashes), np.int32)
    parts = np.split(found, np.cumsum(sizes))

    def find(first: int, last: int) -> None:
        for k in range(first, last):
            _find_slice(chunks[k], listed, table, parts[k])

    over_slices(find, sizes)
    return found


@compile_kernel
def _fill_table(known: Int64, table: Int32) -> None:
    most = len(table) - 1
    for place in range(len(known)):
        at = known[place] & most
        while table[at] >= 0:
            at = (at + 1) & most
        table[at] = place


@compile_kernel
def _find_slice(hashes: Int64, known: Int64, table: Int32, found: Int32) -> None:
    most = len(table) - 1
    for k in range(len(hashes)):
        at = hashes[k] & most
        while table[at] >= 0 and known[table[at]] != hashes[k]:
            at = (at + 1) & most
        found[k] = table[at]
