"""Judging in workers: chunks go to a runner with their texts, and rows come back; no worker opens the lake."""

from __future__ import annotations

import os
import pickle
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa

from curate.core.errors import CurateError
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.pending import PendingQuestion
from curate.judge.plan import WorkChunk
from curate.judge.runner import answer_questions
from curate.judge.writer import AnsweredChunk
from curate.runner.base import Runner

_lock = threading.Lock()  # judges are asked by one thread of a process, however many a worker has


@dataclass(frozen=True, slots=True)
class WorkerAnswers:
    """Rows of a chunk by table; `note` is what the judge says of all that the worker has asked it in this run."""

    rows: pa.Table
    others: Mapping[str, pa.Table]
    worker: str
    note: str


@dataclass
class WorkerPanel:
    """The panel as workers make it, and what they say of what they could not read whole."""

    runner: Runner
    panel: Panel
    run_id: str
    _notes: dict[tuple[str, str], str] = field(init=False, default_factory=dict)

    @cached_property
    def _source(self) -> bytes:
        """Configuration, names of the judges, delimiter key and run id, from which workers make the panel."""
        panel = self.panel
        has_engines = any(configured.engines for configured in panel.judges.values())
        key = panel.engines.delimiter_key if has_engines else None
        return pickle.dumps((panel.config, tuple(panel.judges), key, self.run_id))

    def takes(self, configured: ConfiguredJudge) -> bool:
        """Tell whether workers ask a judge: not one whose requests wait in files of this machine (batch APIs)."""
        return self.runner.workers > 0 and not any(engine.asks_in_batches for engine in configured.engines)

    @property
    def most_in_flight(self) -> int:
        """Return the number of chunks of a judge that are out at a time: one waits for each that is answered."""
        return 2 * self.runner.workers

    def submit(
        self, configured: ConfiguredJudge, work: WorkChunk, pending: Sequence[PendingQuestion]
    ) -> Callable[[], AnsweredChunk]:
        """Send the questions of a chunk to a worker; the function that is returned waits for the answers."""
        task = self.runner.submit(
            answer_in_worker, self._source, configured.name, configured.revision, list(pending)
        )

        def wait() -> AnsweredChunk:
            answers = task.result()
            if answers.note:
                self._notes[configured.name, answers.worker] = answers.note
            return AnsweredChunk(configured, work, answers.rows, answers.others)

        return wait

    def close(self) -> None:
        """End the chunks in flight, and free the models."""
        self.runner.close()
        self.panel.close()

    def list_notes(self) -> list[str]:
        """List the notes of all workers."""
        return [f"{note} (worker {worker})" for (_, worker), note in sorted(self._notes.items())]


def answer_in_worker(
    source: bytes, judge: str, revision: str, pending: Sequence[PendingQuestion]
) -> WorkerAnswers:
    """Answer the questions of a chunk; the panel, with its models, stays open for the next chunk of the run.

    Raises:
        CurateError: The judge does not work here, or it is another one than in the process that sends the questions.
    """
    with _lock:
        panel, run_id = _open_panel(source)
        configured = panel.judges[judge]
        if configured.revision != revision:
            raise CurateError(
                f"Judge {judge!r} on the worker {platform.node()} is not the one of this run (another version of "
                "curate, of a model or of a file): install and store the same there."
            )
        rows, others = answer_questions(configured, pending, run_id=run_id)
        worker = f"{platform.node()}:{os.getpid()}"
        return WorkerAnswers(rows, others, worker, configured.judge.note)


_opened: dict[bytes, tuple[Panel, str]] = {}  # the panel whose models this process holds


def _open_panel(source: bytes) -> tuple[Panel, str]:
    """Return the panel of a run, and the run's id; free the models of the run before."""
    if source not in _opened:
        while _opened:
            _opened.popitem()[1][0].close()
        config, names, key, run_id = pickle.loads(source)
        panel = Panel(config, only=names)
        if key is not None:
            panel.engines.delimiter_key = key  # or the same question would be another prompt here
        _opened[source] = panel, run_id
    return _opened[source]
