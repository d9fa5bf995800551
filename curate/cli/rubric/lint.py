"""`curate rubric lint`: what is wrong with a rubric's file, without any data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.core.terminal import print_line


def lint_files(files: Annotated[list[Path], typer.Argument(help="Rubrics: YAML files.")]) -> None:
    """Say what is wrong with rubrics; ends with 1 where a criterion is worthless as it stands."""
    from curate.data.rubric import read_rubric
    from curate.rubric.lint import lint_rubric

    failed = False
    for file in files:
        rubric = read_rubric(file)
        findings = lint_rubric(rubric)
        failed = failed or any(finding.is_error for finding in findings)
        for finding in findings:
            place = f"{file}: {finding.criterion}" if finding.criterion else str(file)
            print_line(f"{place}: {'error' if finding.is_error else 'warning'}: {finding.problem}")
        if not findings:
            print_line(
                f"{file}: {len(rubric.criteria)} criteria, revision {rubric.revision}, nothing to mend."
            )
    if failed:
        raise typer.Exit(1)
