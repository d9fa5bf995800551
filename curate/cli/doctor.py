"""`curate doctor`: what this machine and this project lack, and how to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from curate.cli.documents import Examination
from curate.cli.opening import load_config
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.program_output import ExitWith
from curate.core.errors import CurateError
from curate.core.terminal import new_console, new_table, print_line

if TYPE_CHECKING:
    from curate.deploy.doctor.findings import Finding


def examine_machine(config: ConfigPath = DEFAULT_CONFIG) -> Examination:
    """Say what is missing, here and for curate.yaml, and how to mend it; exit code 1 if runs would fail of it."""
    findings = _gather_findings(config)
    table = new_table("", "what", "seen", "what to do")
    for finding in findings:
        table.add_row(finding.status, finding.name, finding.message, finding.remedy)
    new_console().print(table)
    missing = sum(finding.status == "missing" for finding in findings)
    print_line(f"{missing} missing" if missing else "nothing that is needed is missing")
    examination = Examination(not missing, findings)
    if missing:
        raise ExitWith(examination)
    return examination


def _gather_findings(path: Path) -> list[Finding]:
    from curate.deploy.doctor.checks import check_extras, check_machine, check_project
    from curate.deploy.doctor.findings import Finding

    findings, settings = list(check_machine()), None
    if path == DEFAULT_CONFIG and not path.exists():
        findings.append(Finding("project", "note", "there is no curate.yaml here", "curate init FOLDER"))
    else:
        try:
            settings = load_config(path)
            findings.append(Finding("project", "ok", str(path)))
        except CurateError as error:
            findings.append(Finding("project", "missing", str(error), f"correct {path}"))
    findings += check_extras(settings)
    if settings is not None:
        findings += check_project(settings, path)
    return findings
