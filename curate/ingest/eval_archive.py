"""Samples of an Inspect log in its own form, `.eval`: a ZIP archive with a file for each sample."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from curate.core.errors import CurateError
from curate.ingest.chunks import ReadRow
from curate.ingest.lines import reject_long_line

_HEADERS = ("header.json", "_journal/start.json")  # the second one alone where the evaluation was broken off
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


def read_eval_samples(path: Path, *, limit: int) -> Iterator[tuple[int, ReadRow]]:
    """Yield the numbered samples, each with the `eval` of the log's header.

    Args:
        path: The archive.
        limit: Bytes above which a sample is rejected unread.

    Raises:
        CurateError: It is no log of Inspect, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = frozenset(archive.namelist())
            header = next((name for name in _HEADERS if name in names), None)
            if header is None:
                raise CurateError(f"{path} is a ZIP archive, but no log of Inspect: it has no `header.json`.")
            if archive.getinfo(header).file_size > limit:
                raise CurateError(f"{path}: `{header}` has more than {limit:,} bytes: raise `max_line_mib`.")
            described = _read_object(archive, header, path)
            samples = sorted(name for name in names if name.startswith("samples/") and name.endswith(".json"))
            for number, name in enumerate(samples, 1):
                if archive.getinfo(name).file_size > limit:
                    yield number, reject_long_line(number, name.encode(), limit)
                else:
                    yield number, {"eval": described.get("eval"), **_read_object(archive, name, path)}
    except _DAMAGE as error:
        raise CurateError(
            f"{path} is damaged, or packed in a way that is not read here ({error}): write it anew with "
            "`inspect log convert --to json`."
        ) from error


def _read_object(archive: zipfile.ZipFile, name: str, path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(archive.read(name), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise CurateError(f"{path}: `{name}` is no JSON object: {error}.") from error
