"""Check a whole lake, and repair what can be repaired without guessing."""

from __future__ import annotations

from pathlib import Path

import duckdb
from filelock import FileLock

from curate.core.errors import CurateError
from curate.lake.catalog_file import examine_catalog, name_seal
from curate.lake.check.data_files import check_claims, check_data_files
from curate.lake.check.findings import CheckReport
from curate.lake.check.rows import check_rows
from curate.lake.lake import Lake, Location
from curate.lake.trash import TRASH


def check_lake(location: Location, *, repair: bool = False, files_only: bool = False) -> CheckReport:
    """Check the catalog, every data file and every row.

    Args:
        location: Where the lake is.
        repair: Take missing files back from the trash. Where all data is right then, record the checksums of files
            that have none, and write the catalog's seal and claim anew.
        files_only: Leave out the rows; what has changed since it was written shows in the files already.

    Raises:
        CurateError: There is no lake.
    """
    report = CheckReport()
    if not location.exists():
        Lake.open(location, read_only=True)  # says what to do
    if not location.is_postgres:
        _check_catalog(location, report)
    try:
        with Lake.open(location, read_only=True) as lake:
            if repair and lake.files.list_kept(TRASH):
                _take_back_files(lake, report)
            report.snapshot = lake.snapshot()
            check_data_files(lake, report)
            check_claims(lake, report)
            _count_orphans(lake, report)
            if not files_only:
                check_rows(lake, report)
    except (CurateError, duckdb.Error) as error:
        report.add("catalog", location.catalog, f"it cannot be opened: {' '.join(str(error).split())}")
        return report
    if repair:
        _repair_lake(location, report)
    return report


def _check_catalog(location: Location, report: CheckReport) -> None:
    with FileLock(location.catalog + ".lock"):
        state = examine_catalog(location.catalog)
    for problem in state.problems:
        report.add("catalog", location.catalog, f"it is damaged: {problem}")
    if state.sealed and not state.fits and not state.problems:
        report.add(
            "seal",
            location.catalog,
            f"it does not fit its seal {name_seal(location.catalog).name}: one of the two is damaged, an older copy, "
            "or was changed by another program",
        )
    if not state.sealed:
        report.notes.append(
            f"{location.catalog} has no seal, because a writer is at work or was killed, or an older curate wrote it: "
            "SQLite found no damage in it, but would not notice all; the next command that writes seals it."
        )


def _take_back_files(lake: Lake, report: CheckReport) -> None:
    """Take back from the trash what the catalog lists and is missing."""
    with lake.lock():
        returned = lake.files.return_kept_files(TRASH)
    if returned:
        report.repairs.append(
            f"took {len(returned)} missing files back from the trash, such as {returned[0]}"
        )


def _count_orphans(lake: Lake, report: CheckReport) -> None:
    orphans = lake.files.find_unnamed_files()
    if orphans:
        report.notes.append(
            f"{len(orphans)} files in the data folder are not in the catalog, such as {orphans[0]}: killed runs "
            "leave such files, and `curate gc --orphans` deletes them."
        )


def _repair_lake(location: Location, report: CheckReport) -> None:
    """Write marks of ours anew where all data is right, and take what that mends out of the findings.

    Data that is wrong is never touched: only a backup knows what it was.
    """
    marks = [finding for finding in report.findings if finding.kind in ("claim", "seal")]
    if len(marks) < len(report.findings):
        report.notes.append(
            "Nothing was repaired: what is damaged must come from a backup (`curate restore`)."
        )
        return
    with Lake.open(location, create=False) as lake, lake.lock():  # and the lake is sealed when it closes
        if number := lake.files.record_unlisted_files():
            report.repairs.append(f"recorded the checksums of {number} files")
            report.notes = [note for note in report.notes if "no checksum" not in note]
        damaged = [Path(finding.where) for finding in marks if finding.kind == "claim"]
        for path in damaged:
            if path.name == lake.files.claim.file_name:
                lake.files.write_claim()
                report.repairs.append(f"wrote {path.name} anew")
                marks.remove(next(finding for finding in marks if finding.where == str(path)))
    report.findings = [finding for finding in marks if finding.kind != "seal"]
    if not location.is_postgres:
        report.repairs.append(f"sealed {location.catalog}")
        report.notes = [note for note in report.notes if "has no seal" not in note]
