"""`curate certify`: what is promised about the labels, as one document, and whether it still holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.documents import CertificateCheck, Stages
from curate.cli.failures import print_failure
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.program_output import ExitWith
from curate.cli.tables import print_summaries
from curate.core.terminal import print_line


def certify_labels(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write; an earlier certificate is replaced.")
    ] = Path("certificate.json"),
    check: Annotated[
        Path | None,
        typer.Option(
            "--check", help="Check this certificate instead; status 1 and the reasons if it has drifted."
        ),
    ] = None,
    against: Annotated[
        int | None,
        typer.Option("--against", help="With --check: the snapshot to hold it against; default: now."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the file even if it is no certificate.")
    ] = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Stages | CertificateCheck:
    """Write the certificate of the labels: what is promised, on what ground, with what limits."""
    from curate.core.errors import CurateError
    from curate.pipeline.certificate import certify, read_certificate
    from curate.pipeline.certificate_check import find_drift

    settings = load_config(config)
    if check is None:
        if against is not None:
            raise CurateError("--against needs --check FILE: name the certificate.")
        with open_lake(settings, create=False) as lake:
            return print_summaries([certify(lake, settings, output, force=force)])
    certificate = read_certificate(check)
    with open_lake(settings, read_only=True, snapshot=against) as lake:
        reasons = find_drift(lake, settings, certificate)
    answer = CertificateCheck(str(check), certificate.hash, certificate.claim, not reasons, list(reasons))
    if reasons:
        print_failure(CurateError(f"{check} no longer holds. {' '.join(reasons)}"), debug=False)
        raise ExitWith(answer)
    print_line(f"{check} ({certificate.hash}) holds: {certificate.claim}")
    return answer
