"""Rows that another input brought before: they are noted, so that either input can be forgotten without the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from curate.ingest.columns import Ids
from curate.ingest.known import KnownIds, Mask, load_ids, mark_first
from curate.lake.lake import Lake
from curate.lake.writer import Writer
from curate.records import Repeat, arrow_schema

_BROUGHT = (
    "SELECT unhex(prompt_id) AS id FROM prompts WHERE part = $1 "
    "UNION ALL SELECT unhex(response_id) FROM responses WHERE part = $1 "
    "UNION ALL SELECT unhex(judgment_id) FROM judgments WHERE part = $1 "
    "UNION ALL SELECT unhex(id) FROM repeats WHERE part = $1"
)


class RepeatedRows:
    """The rows of one input that the lake has from another one.

    The ids that the input itself has brought are read when the first row comes that the lake knows.
    """

    def __init__(self, lake: Lake, part: str, run_id: str) -> None:
        self._lake = lake
        self._part = part
        self._run_id = run_id
        self._brought: KnownIds | None = None

    def append(
        self,
        writer: Writer,
        ids: Ids,
        novel: Mask,
        names: Sequence[str] | pa.ChunkedArray,
        columns: pa.Table | None = None,
    ) -> None:
        """Note the rows that are not new to the lake but new of this input; inside the lake's lock.

        Args:
            writer: The transaction in which the new rows are written.
            ids: The ids of the rows, as numbers.
            novel: Which of them are new to the lake.
            names: The same ids as text.
            columns: Columns of the rows that the table `repeats` keeps, by their names there.
        """
        if self._brought is None and novel.all():
            return
        if self._brought is None:
            self._brought = KnownIds()
            brought = load_ids(self._lake, _BROUGHT, [self._part])
            self._brought.add(brought[mark_first(brought)])
        repeated = mark_first(ids) & ~novel & ~self._brought.find_known(ids)
        self._brought.add(ids[novel & self._brought.find_new(ids)])
        if not repeated.any():
            return
        self._brought.add(ids[repeated])
        rows = np.flatnonzero(repeated)
        values: dict[str, Any] = {
            "id": pa.array(names, pa.string()).take(pa.array(rows))
            if not isinstance(names, pa.ChunkedArray)
            else names.take(pa.array(rows)),
            "part": pa.repeat(self._part, len(rows)),
            "run_id": pa.repeat(self._run_id, len(rows)),
        }
        if columns is not None:
            values |= {name: columns[name].take(pa.array(rows)) for name in columns.column_names}
        schema = arrow_schema(Repeat)
        writer.add(
            "repeats",
            pa.table(
                [values.get(field.name, pa.nulls(len(rows), field.type)) for field in schema], schema=schema
            ),
        )
