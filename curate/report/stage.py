"""The stage `report`: read one snapshot of the lake, draw the charts and write the page."""

from __future__ import annotations

import re
import time
from pathlib import Path

from curate import __version__
from curate.config.project import Config
from curate.core.atomic import open_output, refuse_overwrite
from curate.core.extras import require_extra
from curate.core.identity import content_id
from curate.core.machine_paths import hide_paths
from curate.core.progress import Track, no_progress
from curate.core.secrets import scrub_text
from curate.lake.lake import Lake
from curate.lake.runs import Counts, Summary
from curate.report.facts import gather_facts
from curate.report.page import render_page

_VERSION = 6  # of the page: raise it when the same lake must give another page
_HEAD = 1_000  # bytes in which the fingerprint stands
_NOUN = "a report of curate"
# Reports had no generator before they had this fingerprint's name.
_OURS = re.compile(r'<meta name="(generator" content="curate|curate-fingerprint)')


def write_report_if_stale(
    lake: Lake, config: Config, *, path: Path | None = None, force: bool = False, track: Track = no_progress
) -> Summary:
    """Write the page unless the file is up to date; the lake is only read.

    Args:
        lake: The project's lake.
        config: The project.
        path: File to write; default: `report.path` of curate.yaml.
        force: Overwrite a file that is not a report.
        track: Shows the progress.

    Returns:
        The run; its `note` is the path of the page.
    """
    started = time.monotonic()
    target = path.resolve() if path is not None else config.resolve(config.report.path)
    skipped = _compute_fingerprint(lake, config) in _read_head(target)
    if not skipped:
        with track("report", None):
            write_report(lake, config, path=target, force=force)
    return Summary("report", Counts(), time.monotonic() - started, skipped=skipped, note=str(target))


def write_report(lake: Lake, config: Config, *, path: Path | None = None, force: bool = False) -> Path:
    """Write the page about the present contents of the lake.

    The page depends only on the snapshot and the configuration, and is written whole or not at all.

    Args:
        lake: The project's lake.
        config: The project.
        path: File to write; default: `report.path` of curate.yaml.
        force: Overwrite a file that is not a report.

    Returns:
        The path of the page.

    Raises:
        CurateError: The file exists and is no report, and `force` is not set.
    """
    target = path.resolve() if path is not None else config.resolve(config.report.path)
    refuse_overwrite(target, force=force, is_ours=is_report, noun=_NOUN)  # before the work, not only after it
    require_extra("report", "altair", "vl_convert", purpose="The report")
    # A connection of its own: every query sees one snapshot, and its temporary tables disturb nobody.
    with Lake.open(lake.location, snapshot=lake.snapshot()) as reader:
        facts = gather_facts(reader, config)
    page = render_page(facts, fingerprint=_compute_fingerprint(lake, config))
    page = scrub_text(hide_paths(page, config.resolve(".")))
    with open_output(target, force=force, is_ours=is_report, noun=_NOUN) as stream:
        stream.write(page.encode("utf-8", errors="replace"))
    return target


def is_report(page: Path) -> bool:
    """Tell whether a file is a report that `curate` wrote."""
    return _OURS.search(_read_head(page)) is not None


def _compute_fingerprint(lake: Lake, config: Config) -> str:
    return content_id(_VERSION, __version__, lake.snapshot(), config.digest)


def _read_head(page: Path) -> str:
    try:
        with page.open("rb") as file:
            return file.read(_HEAD).decode("utf-8", errors="replace")
    except OSError:
        return ""
