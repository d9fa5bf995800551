"""The stage: look at one snapshot of the lake, draw, and put the page in its place."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from curate import __version__
from curate.config import Config
from curate.errors import CurateError
from curate.extras import require_extra
from curate.identity import content_id
from curate.lake import Lake
from curate.progress import Track, silent
from curate.report.facts import gather
from curate.report.page import render
from curate.runs import Counts, Summary

_VERSION = 3  # of the page: raise it when the same lake must give another page
_HEAD = 1_000  # bytes in which the fingerprint stands


def report(lake: Lake, config: Config, *, path: Path | None = None, track: Track = silent) -> Summary:
    """Write the page unless it is there already; `note` names it. Nothing is written to the lake."""
    started = time.monotonic()
    target = path.resolve() if path is not None else config.resolve(config.report.path)
    skipped = _fingerprint(lake, config) in _head(target)
    if not skipped:
        with track("report", None):
            write_report(lake, config, path=target)
    return Summary("report", Counts(), time.monotonic() - started, skipped=skipped, note=str(target))


def write_report(lake: Lake, config: Config, *, path: Path | None = None) -> Path:
    """Write the page about what the lake holds now to `path` (default: `report.path`); returns where it is.

    The page depends on the snapshot and the configuration only, and appears whole or not at all.
    """
    target = path.resolve() if path is not None else config.resolve(config.report.path)
    if target.is_dir():
        raise CurateError(
            f"{target} is a folder, and the report is a file: name one, for example report.html."
        )
    require_extra("report", "altair", "vl_convert", purpose="The report")
    # A connection of its own: every query sees one snapshot, and its temporary tables disturb nobody.
    with Lake.open(lake.location, snapshot=lake.snapshot()) as reader:
        facts = gather(reader, config)
    page = render(facts, fingerprint=_fingerprint(lake, config))
    _replace(target, page.encode("utf-8", errors="replace"))
    return target


def _fingerprint(lake: Lake, config: Config) -> str:
    return content_id(_VERSION, __version__, lake.snapshot(), config.digest)


def _head(page: Path) -> str:
    try:
        with page.open("rb") as file:
            return file.read(_HEAD).decode("utf-8", errors="replace")
    except OSError:
        return ""


def _replace(target: Path, content: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(name).chmod(0o644)  # mkstemp's files are for their owner only
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise CurateError(f"Cannot write the report to {target}: {error.strerror}.") from error
