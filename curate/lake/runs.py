"""The record of work: which chunk of which stage was done, from what, with what counts."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import pyarrow as pa

from curate import __version__
from curate.core.run_metrics import ChunkFigures, count_chunk
from curate.core.tracing import trace_span
from curate.lake.lake import Lake
from curate.lake.writer import Writer
from curate.records import Run, arrow_schema


@dataclass(slots=True)
class Counts:
    """Counts of the rows of a chunk: `rows_in = rows_kept + rows_duplicate + sum(dropped)`."""

    rows_in: int = 0
    rows_kept: int = 0
    rows_duplicate: int = 0
    dropped: dict[str, int] = field(default_factory=dict)  # reason → rows
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    engine: str = ""  # names of the engines that were asked
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def rows_dropped(self) -> int:
        return sum(self.dropped.values())

    def add(self, other: Counts) -> None:
        self.rows_in += other.rows_in
        self.rows_kept += other.rows_kept
        self.rows_duplicate += other.rows_duplicate
        self.tokens_in += other.tokens_in
        self.tokens_out += other.tokens_out
        self.cost += other.cost
        for reason, rows in other.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + rows
        self.details |= other.details


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a stage, for the table at the end of a run. `skipped`: everything had been done already."""

    stage: str
    counts: Counts
    seconds: float
    skipped: bool = False
    note: str = ""


class StageRun:
    """One run of one stage: commits its chunks, each with its rows and its line in `runs` together.

    `commits` counts them: each is one snapshot of the lake.
    """

    def __init__(self, lake: Lake, stage: str, *, config_hash: str) -> None:
        self.lake = lake
        self.stage = stage
        self.config_hash = config_hash
        self.run_id = uuid.uuid4().hex
        self.total = Counts()
        self.commits = 0
        self._started = self._chunk_started = time.monotonic()
        self._began = _read_clock()

    @contextlib.contextmanager
    def chunk(
        self, part: str, *, fingerprint: str, index: int = 0, status: Literal["chunk", "done"] = "chunk"
    ) -> Iterator[tuple[Writer, Counts]]:
        """Commit one chunk of `part` (a source file, a judge, an iteration …).

        `fingerprint` identifies the part's whole work; `status="done"` closes it, so that `done` finds it.
        Fill the counts inside; they must reconcile.
        """
        snapshot, counts = self.lake.snapshot(), Counts()
        place: dict[str, str | int] = {
            "curate.stage": self.stage,
            "curate.part": part,
            "curate.chunk": index,
            "curate.run": self.run_id,
        }
        with trace_span("commit chunk", place) as span, self.lake.write(self.run_id) as writer:
            yield writer, counts
            span.set_attributes(
                {
                    "curate.rows.kept": counts.rows_kept,
                    "curate.rows.duplicate": counts.rows_duplicate,
                    "curate.rows.dropped": counts.rows_dropped,
                }
            )
            if counts.rows_in != counts.rows_kept + counts.rows_duplicate + counts.rows_dropped:
                raise AssertionError(f"{self.stage} {part}: the counts do not reconcile: {counts}")
            record = self._record(part, fingerprint, index, status, snapshot, counts)
            writer.append("runs", pa.Table.from_pylist([record.model_dump()], schema=arrow_schema(Run)))
        self.commits += 1
        self.total.add(counts)
        self._count(part, counts)
        self._chunk_started, self._began = time.monotonic(), _read_clock()

    def _count(self, part: str, counts: Counts) -> None:
        asked = self.stage == "judge"
        count_chunk(
            ChunkFigures(
                stage=self.stage,
                part=part,
                engine=counts.engine,
                seconds=time.monotonic() - self._chunk_started,
                rows={
                    "kept": counts.rows_kept,
                    "duplicate": counts.rows_duplicate,
                    "dropped": counts.rows_dropped,
                },
                requests=counts.rows_kept + counts.rows_dropped if asked else 0,
                failures=counts.rows_dropped if asked else 0,
                tokens={"in": counts.tokens_in, "out": counts.tokens_out},
                cost=counts.cost,
            )
        )

    def summary(self, *, skipped: bool = False, note: str = "") -> Summary:
        return Summary(self.stage, self.total, time.monotonic() - self._started, skipped, note)

    def _record(
        self,
        part: str,
        fingerprint: str,
        index: int,
        status: Literal["chunk", "done"],
        snapshot: int,
        counts: Counts,
    ) -> Run:
        return Run(
            run_id=self.run_id,
            stage=self.stage,
            part=part,
            chunk=index,
            fingerprint=fingerprint,
            config_hash=self.config_hash,
            code_version=__version__,
            snapshot_in=snapshot,
            rows_in=counts.rows_in,
            rows_kept=counts.rows_kept,
            rows_duplicate=counts.rows_duplicate,
            rows_dropped=counts.rows_dropped,
            tokens_in=counts.tokens_in,
            tokens_out=counts.tokens_out,
            cost=counts.cost,
            seconds=time.monotonic() - self._chunk_started,
            status=status,
            details=json.dumps(
                {"dropped": counts.dropped, **counts.details}, ensure_ascii=False, sort_keys=True
            ),
            started_at=self._began,
            finished_at=_read_clock(),
        )


def is_done(lake: Lake, stage: str, part: str, fingerprint: str) -> bool:
    """Tell whether exactly this work has been completed before."""
    query = (  # not WHERE: see `find_newest_run`
        "SELECT count(*) FILTER (stage = ? AND part = ? AND fingerprint = ? AND status = 'done') FROM runs"
    )
    return bool(lake.value(query, (stage, part, fingerprint)))


def find_newest_run(lake: Lake, stage: str, part: str) -> str | None:
    """Find the fingerprint of the last completed work on this part.

    For stages that replace their rows: work that was done and then overwritten by other work must be done again.
    Last is what the lake's snapshots say: they only grow, while a clock may once have been ahead.
    """
    query = (  # not WHERE: each condition that DuckLake can push down costs it a query of its catalog
        "SELECT arg_max(fingerprint, (snapshot_in, finished_at)) "
        "FILTER (stage = ? AND part = ? AND status = 'done') FROM runs"
    )
    fingerprint = lake.value(query, (stage, part))
    return None if fingerprint is None else str(fingerprint)


def list_committed_chunks(lake: Lake, stage: str, part: str, fingerprint: str) -> Mapping[int, str]:
    """Chunks of this work that an earlier run committed: index → status."""
    query = (  # not WHERE: see `find_newest_run`
        "SELECT chunk, max(status) FILTER (stage = ? AND part = ? AND fingerprint = ?) AS latest FROM runs "
        "GROUP BY chunk HAVING latest IS NOT NULL"
    )
    return dict(lake.rows(query, (stage, part, fingerprint)))


def _read_clock() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
