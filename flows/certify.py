"""The certificate as Prefect flows: make it, and check whether it still holds."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from curate.core.errors import CurateError
from curate.deploy.failure_notice import send_failure_notice
from curate.deploy.flow_runs import open_project
from curate.deploy.run_artifacts import publish_certificate
from curate.lake.runs import Summary
from curate.pipeline.certificate import certify, read_certificate
from curate.pipeline.certificate_check import find_drift


@flow(name="certify", on_failure=[send_failure_notice], on_crashed=[send_failure_notice])
def certify_labels(config: str = "curate.yaml", certificate: str | None = None) -> list[Summary]:
    """Write the certificate of the labels.

    Args:
        config: Path of curate.yaml.
        certificate: File to write, from the folder of curate.yaml on; none: `deploy.certificate`.
    """
    with open_project(config, "certify") as project:
        path = project.config.resolve(certificate or project.config.deploy.certificate)
        summaries = project.do_stage("certify", lambda lake: certify(lake, project.config, path))
        publish_certificate(project.config, read_certificate(path), path)
        return summaries


@flow(name="certify-check", on_failure=[send_failure_notice], on_crashed=[send_failure_notice])
def check_certificate(config: str = "curate.yaml", certificate: str | None = None) -> str:
    """Check a certificate against the lake of today; the run fails, with the reasons, if it no longer holds.

    Args:
        config: Path of curate.yaml.
        certificate: File to check, from the folder of curate.yaml on; none: `deploy.certificate`.
    """
    with open_project(config, "certify-check", is_published=False) as project:
        path: Path = project.config.resolve(certificate or project.config.deploy.certificate)
        document = read_certificate(path)
        drift = find_drift(project.lake, project.config, document)
        publish_certificate(project.config, document, path, drift)
        if drift:
            raise CurateError(f"{path.name} no longer holds. {' '.join(drift)}")
    return f"{path.name} ({document.hash}) holds: {document.claim}"
