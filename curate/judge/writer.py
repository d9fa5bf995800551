"""Write answered chunks to the lake, in a thread of their own, while the next ones are asked."""

from __future__ import annotations

import contextvars
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from curate.core.identity import content_id
from curate.judge.configured import ConfiguredJudge
from curate.judge.plan import WorkChunk
from curate.lake.lost_catalog import repeat_when_lost
from curate.lake.runs import Counts, StageRun

_MAX_WAITING = 32  # chunks that wait for their commit; with more of them, asking waits too
_IDS = {"judgments": "judgment_id", "criterion_verdicts": "verdict_id", "rubrics": "revision"}
_COMMIT_INTERVAL = 0.5  # seconds between two commits: one costs as much as asking a thousand rules


@dataclass(frozen=True, slots=True)
class AnsweredChunk:
    """The answers of one judge to the pending questions of one chunk.

    Attributes:
        configured: The judge.
        work: The chunk.
        rows: Rows of the table `judgments`.
        others: Rows of `criterion_verdicts` and `rubrics`, of judges by rubrics; of `judgments`, about single aspects.
    """

    configured: ConfiguredJudge
    work: WorkChunk
    rows: pa.Table
    others: Mapping[str, pa.Table] = field(default_factory=dict)

    @property
    def tokens(self) -> tuple[int, int]:
        """Return the numbers of tokens read and written."""
        read, written = (pc.sum(self.rows[name]).as_py() or 0 for name in ("tokens_in", "tokens_out"))
        return read, written

    @property
    def cost(self) -> float:
        return self.configured.price(*self.tokens) or 0.0


def commit_chunks(run: StageRun, chunks: Sequence[AnsweredChunk]) -> Counts:
    """Commit neighbouring chunks of one judge in one transaction with one record.

    Returns:
        Counts: in = all questions, kept = answered now, duplicate = answered before (or meanwhile by another process,
        or given up), dropped = failed now, by reason.
    """
    configured = chunks[0].configured
    rows = pa.concat_tables(chunk.rows for chunk in chunks)
    has_failed = pc.equal(rows["outcome"], "failed")
    answered, failed = rows.filter(pc.invert(has_failed)), rows.filter(has_failed)
    fingerprint = content_id(
        configured.revision, [prompt_id for chunk in chunks for prompt_id in chunk.work.prompt_ids]
    )
    with run.chunk(configured.name, fingerprint=fingerprint, index=chunks[0].work.chunk) as (writer, counts):
        counts.rows_in = sum(chunk.work.total for chunk in chunks)
        counts.rows_kept = writer.append("judgments", answered, unique="judgment_id", near="prompt_id")
        new_failures = writer.append("judgments", failed, unique="judgment_id", near="prompt_id")
        for table, unique in _IDS.items():
            parts = [chunk.others[table] for chunk in chunks if table in chunk.others]
            if parts:
                writer.append(table, pa.concat_tables(parts), unique=unique)
        counts.dropped = (
            _count_reasons(failed) if new_failures == failed.num_rows else {"failed": new_failures}
        )
        counts.rows_duplicate = counts.rows_in - counts.rows_kept - counts.rows_dropped
        counts.tokens_in, counts.tokens_out = map(sum, zip(*(chunk.tokens for chunk in chunks), strict=True))
        counts.cost = sum(chunk.cost for chunk in chunks)
        counts.engine = ",".join(engine.name for engine in configured.engines)
        counts.details = {"revision": configured.revision}
    return counts


def _count_reasons(failed: pa.Table) -> dict[str, int]:
    """Count failures by reason; the words after a colon are about the single case and left out."""
    texts = (raw or "" for raw in failed["raw"].to_pylist())
    return dict(Counter(raw.partition("\n")[0].partition(":")[0] or "failed" for raw in texts))


def _group_by_judge(chunks: Sequence[AnsweredChunk]) -> Iterable[list[AnsweredChunk]]:
    """Group chunks by judge, in the order of each judge's first one."""
    groups: dict[str, list[AnsweredChunk]] = {}
    for chunk in chunks:
        groups.setdefault(chunk.configured.name, []).append(chunk)
    return groups.values()


@dataclass(slots=True)
class BackgroundWriter:
    """A thread that commits chunks: `with BackgroundWriter(run) as writer: writer.submit(answered)`.

    Several threads may hand chunks over. `run` belongs to the writer until it ends. All chunks of half a second are
    committed together, each judge's in one transaction. So chunks of a slow model are committed one by one, at once,
    and a cheap judge does not wait for the disk after each chunk. The end of the block commits the rest, also after an
    error.
    """

    run: StageRun
    _waiting: list[AnsweredChunk] = field(init=False, default_factory=list)
    _closed: bool = field(init=False, default=False)
    _flushing: int = field(init=False, default=0)  # threads that wait in `flush`
    _submitted: int = field(init=False, default=0)
    _committed: int = field(init=False, default=0)
    _error: BaseException | None = field(init=False, default=None)
    _changed: threading.Condition = field(init=False, default_factory=threading.Condition)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> Self:
        context = contextvars.copy_context()  # which run or span this is part of
        self._thread = threading.Thread(
            target=context.run, args=(self._write_loop,), name="curate-writer", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        if error is None:
            self._raise_error()

    def submit(self, answered: AnsweredChunk) -> None:
        """Hand over a chunk to be committed soon; wait while too many are waiting."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < _MAX_WAITING)
            self._raise_error()
            self._waiting.append(answered)
            self._submitted += 1
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all that was handed over before is committed."""
        with self._changed:
            last = self._submitted
            self._flushing += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._committed >= last or self._error is not None)
            self._flushing -= 1
            self._raise_error()

    def _is_due(self) -> bool:
        return self._closed or self._flushing > 0 or len(self._waiting) >= _MAX_WAITING

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _write_loop(self) -> None:
        last = -_COMMIT_INTERVAL
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                self._changed.wait_for(
                    self._is_due, timeout=max(0.0, last + _COMMIT_INTERVAL - time.monotonic())
                )
                chunks = tuple(self._waiting)  # they stay in the list until they are in the lake
            try:
                for of_one_judge in _group_by_judge(chunks):
                    repeat_when_lost(partial(commit_chunks, self.run, of_one_judge))
            except BaseException as error:  # any kind: it is raised where somebody waits for the commit
                self._error = error
            last = time.monotonic()
            with self._changed:
                self._waiting = [] if self._error else self._waiting[len(chunks) :]
                self._committed += len(chunks)
                self._changed.notify_all()
