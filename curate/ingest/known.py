"""The ids that the lake holds already: 16 bytes of memory each, and no query per chunk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.ingest.columns import Ids
from curate.lake.lake import Lake

Mask = npt.NDArray[np.bool_]


class KnownIds:
    """A set of 128-bit ids as a few sorted arrays.

    New ids come in large batches; an array is merged into its neighbour when it has grown as large, so that n
    ids lie in at most log2(n) arrays and each is copied log2(n) times (a log-structured merge).
    """

    def __init__(self, ids: Ids | None = None) -> None:
        self._runs: list[Ids] = []
        if ids is not None:
            self.add(ids)

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def clear(self) -> None:
        """Forget all ids."""
        self._runs = []

    def add(self, ids: Ids) -> None:
        """Add ids that are not in the set yet."""
        if len(ids) == 0:
            return
        run = _sort_ids(ids)
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = _sort_ids(np.concatenate([self._runs.pop(), run]))
        self._runs.append(run)

    def find_known(self, ids: Ids) -> Mask:
        """Return a mask of the ids that are in the set."""
        mask = np.zeros(len(ids), dtype=bool)
        if self._runs and len(ids):
            order = np.argsort(
                ids[:, 0]
            )  # to search for neighbours one after the other takes a fifth of the time
            ordered = ids[order]
            for run in self._runs:
                mask |= _search_ids(run, ordered)
            mask[order] = mask.copy()
        return mask

    def find_new(self, ids: Ids) -> Mask:
        """Return a mask of the ids that are neither in the set nor earlier in `ids`."""
        return mark_first(ids) & ~self.find_known(ids)


def mark_first(ids: Ids) -> Mask:
    """Return a mask of the ids to which none before is equal."""
    first = np.ones(len(ids), dtype=bool)
    high = np.sort(ids[:, 0])
    if (high[1:] != high[:-1]).all():  # nearly always, and quicker to find out than an order
        return first
    order = np.lexsort((ids[:, 1], ids[:, 0]))  # stable: equal ids stay in their order
    ranked = ids[order]
    first[order[1:]] = (ranked[1:] != ranked[:-1]).any(axis=1)
    return first


class LakeIds:
    """The ids of the lake's prompts, responses and judgments, as of the last look."""

    _COLUMNS = (("prompts", "prompt_id"), ("responses", "response_id"), ("judgments", "judgment_id"))

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._snapshot = lake.snapshot()  # before the ids are read: they may be newer, never older
        self.prompts, self.responses, self.judgments = (
            KnownIds(load_ids(lake, f"SELECT unhex({column}) AS id FROM {table}"))
            for table, column in self._COLUMNS
        )

    def catch_up(self) -> bool:
        """Learn inside the lake's lock what other processes have written; return whether they have."""
        now = self._lake.snapshot()
        if now == self._snapshot:
            return False
        first = self._snapshot + 1
        kept = self._lake.value("SELECT count(*) FROM lake.snapshots() WHERE snapshot_id = ?", [first])
        for (table, column), known in zip(
            self._COLUMNS, (self.prompts, self.responses, self.judgments), strict=True
        ):
            # Where the old snapshots have been expired meanwhile, or rows have been forgotten, the whole table has to
            # be read again.
            changes = f"('{table}', {first}, {now})"
            if not kept or self._lake.rows(f"SELECT 1 FROM lake.table_deletions{changes} LIMIT 1"):
                known.clear()
                kept_rows = table
            else:
                kept_rows = f"lake.table_insertions{changes}"
            ids = load_ids(self._lake, f"SELECT unhex({column}) AS id FROM {kept_rows}")
            known.add(ids[known.find_new(ids)])
        self._snapshot = now
        return True

    def learn_commit(self, prompts: Ids, responses: Ids, judgments: Ids) -> None:
        """Add the ids of our own transaction. Another commit just after it shows in the snapshot number."""
        self._snapshot += 1
        self.prompts.add(prompts)
        self.responses.add(responses)
        self.judgments.add(judgments)


def load_ids(lake: Lake, query: str, parameters: Sequence[object] = ()) -> Ids:
    """Read a column of 16-byte values as ids."""
    parts: list[Ids] = [_row_numbers(batch.column(0)) for batch in lake.batches(query, parameters)]
    return np.concatenate([np.empty((0, 2), np.uint64), *parts])


def _sort_ids(ids: Ids) -> Ids:
    """Sort by the first half only: `_search_ids` goes through ids that share it. Runs in order are merged at once."""
    ordered: Ids = ids[np.argsort(ids[:, 0], kind="stable")]
    return ordered


def _search_ids(run: Ids, ids: Ids) -> Mask:
    high, low = run[:, 0], run[:, 1]
    position = np.searchsorted(high, ids[:, 0])
    mask = np.zeros(len(ids), dtype=bool)
    active = np.flatnonzero(position < len(run))
    active = active[high[position[active]] == ids[active, 0]]
    while len(active):  # more than once only where two ids share their first 64 bits
        mask[active[low[position[active]] == ids[active, 1]]] = True
        position[active] += 1
        active = active[~mask[active] & (position[active] < len(run))]
        active = active[high[position[active]] == ids[active, 0]]
    return mask


def _row_numbers(column: pa.Array) -> Ids:
    """Return a column of 16-byte values as numbers."""
    fixed = column.cast(pa.binary(16))
    if len(fixed) == 0:
        return np.empty((0, 2), np.uint64)
    raw = np.frombuffer(fixed.buffers()[1], dtype=">u8", count=2 * len(fixed), offset=16 * fixed.offset)
    numbers: Ids = raw.astype(np.uint64).reshape(-1, 2)
    return numbers
