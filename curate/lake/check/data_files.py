"""Check the data files: each is there, has the size and checksum that it was written with, and can be read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curate.lake.bucket import open_file_system, strip_scheme
from curate.lake.bucket_files import compute_object_checksum
from curate.lake.check.findings import CheckReport
from curate.lake.checksums import Checksum, compute_checksum
from curate.lake.data_folder import Claim, DataFile, is_local, list_claim_files
from curate.lake.lake import Lake
from curate.lake.trash import TRASH

_MISSING = "it is missing"
_CHANGED = "its content is not what was written: the checksum differs"


def check_data_files(lake: Lake, report: CheckReport) -> None:
    """Read every data file that the catalog names for any snapshot."""
    checksums = lake.files.read_checksums()
    files = lake.files.list_data_files()
    unknown = 0
    trash = lake.files.list_kept(TRASH)
    for file in files:
        path = Path(file.path)
        known = checksums.get(path.name)
        unknown += known is None
        problem = _find_problem(file, known)
        is_there = path.exists() if is_local(file.path) else problem != _MISSING
        if problem == _MISSING and path.name in trash:
            problem += ", and is in the trash: `curate check --repair` takes it back"
        if problem and (
            is_there or file in lake.files.list_data_files()
        ):  # else `curate gc` has removed it just now
            report.add("file", file.path, problem)
        elif not problem:
            report.files += 1
            report.bytes += file.bytes
    if unknown:
        report.notes.append(
            f"{unknown} data files have no checksum, because another program or an older curate wrote them: they were "
            "read whole, and can be read; `curate check --repair` records their checksums."
        )


def check_claims(lake: Lake, report: CheckReport) -> None:
    """Check the files by which catalogs mark the data folder as theirs."""
    if not is_local(lake.location.data):
        return
    for path in list_claim_files(lake.location.data):
        text = path.read_bytes()
        claim = Claim.parse(text.decode("utf-8", errors="replace"))
        if claim.file_name != path.name or claim.text.encode() != text:
            report.add("claim", str(path), "it is damaged: its name does not fit its content")


def _find_problem(file: DataFile, known: Checksum | None) -> str | None:
    """Say what is wrong with a file; None where nothing is."""
    try:
        return (
            _compare_file(Path(file.path), file, known)
            if is_local(file.path)
            else _compare_object(file, known)
        )
    except FileNotFoundError:
        return _MISSING
    except (OSError, pa.ArrowException) as error:
        return f"it cannot be read: {' '.join(str(error).split())}"


def _compare_file(path: Path, file: DataFile, known: Checksum | None) -> str | None:
    size = path.stat().st_size
    if size != file.bytes:
        return _describe_size(size, file)
    if known is None:
        return _compare_rows(_read_whole(path), file)
    if compute_checksum(path) != known:
        return _CHANGED
    return _compare_rows(pq.ParquetFile(path).metadata.num_rows, file)


def _compare_object(file: DataFile, known: Checksum | None) -> str | None:
    checksum = compute_object_checksum(file.path)
    if checksum.bytes != file.bytes:
        return _describe_size(checksum.bytes, file)
    if known is not None:
        return None if checksum == known else _CHANGED
    with open_file_system().open_input_file(strip_scheme(file.path)) as stream:
        return _compare_rows(_read_whole(stream), file)


def _describe_size(size: int, file: DataFile) -> str:
    return f"it has {size} bytes, and {file.bytes} were written"


def _compare_rows(rows: int, file: DataFile) -> str | None:
    return None if rows == file.rows else f"it has {rows} rows, and the catalog says {file.rows}"


def _read_whole(path: Path | pa.NativeFile) -> int:
    """Decode all columns of a file, block by block; returns its rows."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return sum(batch.num_rows for batch in file.iter_batches(16_384))
