"""Where hashes stand in a list of hashes: look-ups in a table with open addressing, from several threads."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curate.aggregate.votes import Int32, Int64
from curate.core.kernels import compile_kernel, over_slices


def look_up_hashes(hashes: pa.ChunkedArray, known: pa.ChunkedArray) -> Int32:
    """Look up the index in `known` of each of `hashes`, int32[N]; -1 where it is not there. Both are uint64."""
    listed = known.combine_chunks().to_numpy().view(np.int64)
    table = np.full(1 << (2 * len(listed) + 1).bit_length(), -1, np.int32)
    _fill_table(listed, table)
    chunks = [chunk.to_numpy().view(np.int64) for chunk in hashes.chunks]
    sizes = np.array([len(chunk) for chunk in chunks], np.int64)
    index = np.empty(len(hashes), np.int32)
    parts = np.split(index, np.cumsum(sizes))

    def find(first: int, last: int) -> None:
        for k in range(first, last):
            _find_slice(chunks[k], listed, table, parts[k])

    over_slices(find, sizes)
    return index


@compile_kernel
def _fill_table(known: Int64, table: Int32) -> None:
    most = len(table) - 1
    for place in range(len(known)):
        slot = known[place] & most
        while table[slot] >= 0:
            slot = (slot + 1) & most
        table[slot] = place


@compile_kernel
def _find_slice(hashes: Int64, known: Int64, table: Int32, index: Int32) -> None:
    most = len(table) - 1
    for k in range(len(hashes)):
        slot = hashes[k] & most
        while table[slot] >= 0 and known[table[slot]] != hashes[k]:
            slot = (slot + 1) & most
        index[k] = table[slot]
