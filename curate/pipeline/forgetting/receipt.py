"""Receipts: what was forgotten, when, with hashes of ids and no content; and whether the lake still keeps to one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from curate import __version__
from curate.config.project import Config
from curate.core.atomic import atomic_file
from curate.core.errors import CurateError
from curate.core.section import Section
from curate.lake.erasure import Erasure, verify_erasure
from curate.lake.lake import Lake
from curate.lake.traces import Traces
from curate.records import TABLES

_SEARCHED = (
    "prompts",
    "responses",
    "judgments",
    "quarantine",
    "verify_tasks",
    "preferences",
    "rankings",
    "criterion_verdicts",
    "aspect_preferences",
    "aspect_rankings",
    "repeats",
)


class ErasureReceipt(Section):
    """The rewriting of the lake's history: see `curate.lake.erasure.Erasure`."""

    snapshots: int
    files: int
    files_read: int
    texts_compared: int


class ForgetReceipt(Section):
    """The receipt of one `curate forget`.

    `ids`: hashes of the ids that were removed, salted with `run`; without `returned` ones, which had come in again by
    the time of the receipt.
    """

    curate_receipt: Literal[1] = 1
    run: str
    at: str
    code_version: str
    target: str
    removed: dict[str, int]
    taken_over: int
    anonymised: int
    returned: int
    uses: list[dict[str, Any]]
    erased: ErasureReceipt | None
    ids: list[str]


def build_receipt(
    lake: Lake, run_id: str, label: str, details: dict[str, Any], erasure: Erasure | None
) -> ForgetReceipt:
    """Build a receipt.

    Args:
        lake: The lake, which has the hashes.
        run_id: The run that forgot.
        label: What was forgotten.
        details: Of the run's record.
        erasure: What was done to the history; None where it stays.
    """
    rows = lake.rows("SELECT digest FROM forgotten WHERE kind = 'row' AND run_id = ? ORDER BY 1", [run_id])
    return ForgetReceipt(
        run=run_id,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        code_version=__version__,
        target=label,
        removed=details["removed"],
        taken_over=details["taken_over"],
        anonymised=details["anonymised"],
        returned=details["returned"],
        uses=details["uses"],
        erased=None
        if erasure is None
        else ErasureReceipt(
            snapshots=erasure.snapshots,
            files=erasure.files,
            files_read=erasure.files_read,
            texts_compared=erasure.texts_compared,
        ),
        ids=[digest for (digest,) in rows],
    )


def write_receipt(config: Config, receipt: ForgetReceipt) -> Path:
    """Write a receipt into the workspace; returns its path."""
    path = config.resolve(config.workspace) / "forgotten" / f"{receipt.run}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as draft:
        draft.write_text(receipt.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return path


def read_receipt(path: Path) -> ForgetReceipt:
    """Read a receipt. Raises CurateError where the file holds none."""
    try:
        return ForgetReceipt.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise CurateError(f"Cannot read the receipt {path}: {error.strerror}.") from error
    except (ValueError, ValidationError):
        raise CurateError(f"{path} is no receipt of `curate forget`.") from None


def check_receipt(lake: Lake, receipt: ForgetReceipt) -> str:
    """Look whether anything that a receipt names is in the lake; returns a sentence that says what was read.

    Raises:
        CurateError: A row is there (again), or after an erasure in a file or in the catalog.
    """
    traces = Traces.of(receipt.run, receipt.ids)
    for table in filter(lake.has, _SEARCHED):
        number = sum(traces.count(batch) for batch in lake.batches(f"SELECT {_list_ids(table)} FROM {table}"))
        if number:
            raise CurateError(
                f"{number} ids of the receipt are in the table {table} (again): they came in after {receipt.at}, so "
                "forget them again."
            )
    many = f"none of {len(receipt.ids):,} ids of {receipt.target} is in the lake"
    if receipt.erased is None:
        return f"{many}; its history was not erased (`--erase`)"
    files = verify_erasure(lake, traces)
    return f"{many}, nor in the {files:,} Parquet files of its data folder, nor in its catalog"


def _list_ids(table: str) -> str:
    ids = [name for name in TABLES[table].model_fields if name in _ID_COLUMNS]
    return ", ".join(f'"{name}"' for name in ids)


_ID_COLUMNS = frozenset(
    {
        *("id", "prompt_id", "response_id", "judgment_id", "annotator_id", "quarantine_id", "task_id"),
        *("response_a", "response_b", "listed", "ranking", "responses", "supersedes"),
    }
)
