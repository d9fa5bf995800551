"""Plan, remove, erase, tell: `curate forget`, in steps of which each may be killed and is taken up by the next one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock

from curate.config.project import Config
from curate.core.identity import content_id
from curate.export.folder import is_export, mark_forgotten
from curate.lake.erasure import Erasure, erase_history
from curate.lake.lake import Lake
from curate.lake.runs import StageRun
from curate.lake.traces import Traces, collect_texts, list_strings
from curate.pipeline.forgetting.receipt import build_receipt, write_receipt
from curate.pipeline.forgetting.removal import STAGE, count_removed, remove_rows, spare_present
from curate.pipeline.forgetting.target import ForgetTarget, select_target
from curate.pipeline.forgetting.usage import Use, list_uses

_OWN_COPIES = (
    "training-set",
    "gold-set",
)  # folders of the workspace that hold rows; training makes them anew
_TEXTS = (
    'SELECT messages, reference, "key", meta, tools FROM prompts SEMI JOIN forgotten_prompts USING (prompt_id)',
    "SELECT meta FROM prompts WHERE prompt_id IN (FROM of_prompts) AND meta IS NOT NULL",
    'SELECT messages, "key", meta FROM responses SEMI JOIN forgotten_responses USING (response_id)',
    "SELECT rationale, raw FROM judgments SEMI JOIN forgotten_judgments USING (judgment_id)",
    "SELECT raw FROM quarantine SEMI JOIN forgotten_quarantine USING (quarantine_id)",
    "SELECT meta FROM repeats WHERE part IN (FROM target_parts) OR id IN (SELECT prompt_id FROM forgotten_prompts)",
)
_KEPT = ("prompts", "responses", "judgments", "quarantine", "repeats")


@dataclass(frozen=True, slots=True)
class ForgetPlan:
    """The work that `forget_target` would do: rows by table, rows that another input keeps, and their uses."""

    target: ForgetTarget
    removed: dict[str, int]
    taken_over: int
    uses: list[Use]

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to remove."""
        return not self.removed and not self.taken_over and not self.target.parts


@dataclass(frozen=True, slots=True)
class ForgetResult:
    """The work that was done. `receipt`: where it is written."""

    label: str
    removed: dict[str, int]
    uses: list[Use]
    erasure: Erasure | None
    receipt: Path


def plan_forgetting(lake: Lake, target: ForgetTarget) -> ForgetPlan:
    """Count what would go, and list what was made of it. Nothing is changed."""
    with select_target(lake, target):
        taken_over = int(lake.value("SELECT count(*) FROM taken_over"))
        return ForgetPlan(target, count_removed(lake), taken_over, list_uses(lake))


def forget_target(
    lake: Lake, config: Config, target: ForgetTarget, *, erase: bool = False, run_id: str | None = None
) -> ForgetResult:
    """Forget a target, after what an earlier, killed command has left to do.

    Args:
        lake: The lake, open for writing.
        config: The project.
        target: What is to be forgotten.
        erase: Rewrite the lake's history too.
        run_id: Id of the run, where hashes of rows have been written under it; default: a new one.

    Raises:
        CurateError: The history cannot be rewritten, or a trace is left in it; the rows are gone then all the same.
    """
    with _lock(config):
        _finish_all(lake, config)
        with select_target(lake, target):
            uses = list_uses(lake)
            texts = _collect_texts(lake) if erase else set()
        run = StageRun(lake, STAGE, config_hash=config.digest)
        run.run_id = run_id or run.run_id
        remove_rows(run, target, uses, erase=erase)
        return _finish(lake, config, run.run_id, texts)


def finish_killed_runs(lake: Lake, config: Config) -> list[ForgetResult]:
    """Do what commands that were killed have left to do."""
    if not _list_unfinished(lake):
        return []
    with _lock(config):
        return _finish_all(lake, config)


@contextmanager
def _lock(config: Config) -> Iterator[None]:
    folder = config.resolve(config.workspace)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "forget.lock"):
        yield


def _finish_all(lake: Lake, config: Config) -> list[ForgetResult]:
    return [_finish(lake, config, run_id, set()) for run_id in _list_unfinished(lake)]


def _list_unfinished(lake: Lake) -> list[str]:
    rows = lake.rows(
        "SELECT run_id FROM runs WHERE stage = ? GROUP BY run_id HAVING NOT bool_or(status = 'done') "
        "ORDER BY min(snapshot_in)",
        [STAGE],
    )
    return [run_id for (run_id,) in rows]


def _finish(lake: Lake, config: Config, run_id: str, texts: set[str]) -> ForgetResult:
    """Do everything after the removal: erase the history, mark exports, write the receipt and the closing record.

    `texts`: the texts that were removed. A command that takes up a killed one does not have them, and searches by ids.
    """
    label, text = lake.rows(
        "SELECT part, details FROM runs WHERE stage = ? AND run_id = ? AND status = 'chunk'", [STAGE, run_id]
    )[0]
    details: dict[str, Any] = json.loads(text)
    uses = [Use(**use) for use in details["uses"]]
    returned = spare_present(lake, run_id)
    erasure = _erase(lake, config, run_id, texts) if details["erase"] else None
    for use in uses:
        if use.kind == "export" and is_export(config.resolve(use.name)):
            mark_forgotten(config.resolve(use.name), label)
    receipt = write_receipt(
        config, build_receipt(lake, run_id, label, details | {"returned": returned}, erasure)
    )
    run = StageRun(lake, STAGE, config_hash=config.digest)
    run.run_id = run_id
    with run.chunk(label, fingerprint=content_id(run_id), index=1, status="done") as (_, counts):
        counts.details |= {"receipt": receipt.name}
    return ForgetResult(label, details["removed"], uses, erasure, receipt)


def _erase(lake: Lake, config: Config, run_id: str, texts: set[str]) -> Erasure:
    rows = lake.rows("SELECT digest FROM forgotten WHERE kind = 'row' AND run_id = ?", [run_id])
    traces = Traces.of(run_id, (digest for (digest,) in rows), texts)
    if texts:
        kept = set[str]()
        for table in _KEPT:
            for batch in lake.batches(f"SELECT * FROM {table}"):
                kept |= _find_in_batch(traces, batch)
        traces = traces.leave_out(kept)
    for name in _OWN_COPIES:
        shutil.rmtree(config.resolve(config.workspace) / name, ignore_errors=True)
    return erase_history(lake, traces)


def _find_in_batch(traces: Traces, batch: pa.RecordBatch) -> set[str]:
    return set().union(*(traces.find_texts(values) for _, values in list_strings(batch)))


def _collect_texts(lake: Lake) -> set[str]:
    return collect_texts(batch for query in _TEXTS for batch in lake.batches(query))
