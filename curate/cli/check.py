"""`curate check`: whether everything in the lake is there, unchanged and consistent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.opening import load_config
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.program_output import ExitWith
from curate.core.terminal import print_line

if TYPE_CHECKING:
    from curate.lake.check.findings import CheckReport


def check_project(
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Take missing files back from the trash; where all data is right, write missing checksums and marks.",
        ),
    ] = False,
    files_only: Annotated[
        bool, typer.Option("--files", help="Check the catalog and the files, and leave out the rows.")
    ] = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> CheckReport:
    """Read every file and row of the lake; say what is damaged, missing or contradictory, with exit code 1."""
    from curate.lake.check.run import check_lake

    report = check_lake(load_config(config).location, repair=repair, files_only=files_only)
    _print_report(report)
    if report.findings:
        raise ExitWith(report)
    return report


def _print_report(report: CheckReport) -> None:
    for finding in report.findings:
        print_line(f"{finding.where}: {finding.sentence}")
    for repair in report.repairs:
        print_line(f"repaired: {repair}")
    for note in report.notes:
        print_line(f"note: {note}")
    rows = sum(report.rows.values())
    print_line(
        f"{len(report.findings)} findings; {report.files} data files ({report.bytes / 1e6:.1f} MB) and {rows} rows are "
        f"as they were written, at snapshot {report.snapshot}"
        if report.snapshot is not None
        else f"{len(report.findings)} findings"
    )
