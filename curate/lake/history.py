"""The runs of the lake, and the state of the lake after a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.lake.lake import Lake

_SNAPSHOT_DIGITS = 7  # a run's id is written with at least eight characters


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run of a stage.

    Attributes:
        run_id: Its id; the first eight characters are enough on the command line.
        stage: The stage.
        started: When it began (UTC).
        finished: When its last chunk was committed.
        seconds: Time of work.
        chunks: Chunks that it committed.
        parts: What it worked on: source files, judges, label sets, exports.
        rows_in: Rows that it looked at: `rows_kept + rows_duplicate + rows_dropped`.
        rows_kept: Rows that it wrote.
        rows_duplicate: Rows that were there already.
        rows_dropped: Rows that it left out.
        failed: Answers that failed, of judges.
        tokens_in: Tokens that models read.
        tokens_out: Tokens that models wrote.
        cost: What they cost.
        status: "done", "failed", or "unfinished" where it was cut off or is at work.
        snapshot: The lake as it left it; None where that snapshot has been forgotten.
        code_version: The version of curate.
        config_hash: Hash of the settings.
    """

    run_id: str
    stage: str
    started: str
    finished: str
    seconds: float
    chunks: int
    parts: list[str]
    rows_in: int
    rows_kept: int
    rows_duplicate: int
    rows_dropped: int
    failed: int
    tokens_in: int
    tokens_out: int
    cost: float
    status: str
    snapshot: int | None
    code_version: str
    config_hash: str


def list_runs(lake: Lake, *, run: str = "", stage: str | None = None, limit: int = 20) -> list[RunRecord]:
    """List the newest runs; one that had nothing to do has left no record.

    Args:
        lake: An open lake.
        run: The beginning of the id of the runs.
        stage: Only of this stage.
        limit: Most runs.
    """
    rows = lake.arrow(read_query("runs_list"), [run, stage, limit]).to_pylist()
    return [RunRecord(**row) for row in rows]


def list_parts(lake: Lake, run: str) -> list[dict[str, Any]]:
    """List the parts of the runs whose id begins so, as rows of the query `runs_parts`."""
    rows: list[dict[str, Any]] = lake.arrow(read_query("runs_parts"), [run]).to_pylist()
    return rows


def find_snapshot(lake: Lake, name: str) -> int:
    """Find the snapshot that a user names: by its number, or by the beginning of a run's id.

    Args:
        lake: The lake as it is now.
        name: A number of at most seven digits is a snapshot; anything else is a run.

    Raises:
        CurateError: There is no such run or snapshot, several begin so, or the snapshot has been forgotten.
    """
    if name.isdecimal() and len(name) <= _SNAPSHOT_DIGITS:
        kept = {int(snapshot) for (snapshot,) in lake.rows("SELECT snapshot_id FROM lake.snapshots()")}
        if int(name) not in kept:
            raise CurateError(
                f"There is no snapshot {name} (any more): the lake has {min(kept)} to {max(kept)}, see "
                "`curate snapshot list`."
            )
        return int(name)
    runs = list_runs(lake, run=name.lower(), limit=2)
    if not runs:
        raise CurateError(f"No run begins with {name!r}: `curate runs` lists them.")
    if len({run.run_id for run in runs}) > 1:
        raise CurateError(f"Several runs begin with {name!r}: write more characters of its id.")
    if runs[0].snapshot is None:
        raise CurateError(
            f"The lake as run {runs[0].run_id[:8]} left it has been forgotten (`curate gc`), so nothing can be held "
            "against it: name a later run or snapshot."
        )
    return runs[0].snapshot
