"""`curate rubric lint`: what is wrong with a rubric's file, without any data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.documents import RubricFinding, RubricFindings
from curate.cli.program_output import ExitWith
from curate.core.terminal import print_line


def lint_files(
    files: Annotated[list[Path], typer.Argument(help="Rubrics: YAML files.")],
) -> RubricFindings:
    """Say what is wrong with rubrics; ends with 1 where a criterion is worthless as it stands."""
    from curate.data.rubric import read_rubric
    from curate.rubric.lint import lint_rubric

    document = RubricFindings([])
    for file in files:
        rubric = read_rubric(file)
        findings = lint_rubric(rubric)
        for finding in findings:
            place = f"{file}: {finding.criterion}" if finding.criterion else str(file)
            print_line(f"{place}: {'error' if finding.is_error else 'warning'}: {finding.problem}")
            document.findings.append(
                RubricFinding(str(file), finding.criterion, finding.problem, finding.is_error)
            )
        if not findings:
            print_line(
                f"{file}: {len(rubric.criteria)} criteria, revision {rubric.revision}, nothing to mend."
            )
    if any(finding.is_error for finding in document.findings):
        raise ExitWith(document)
    return document
