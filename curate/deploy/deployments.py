"""The deployments of a project: what `curate.yaml` asks for, as plain values that need no Prefect."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from curate.config.project import Config
from curate.core.resources import find_resource
from curate.deploy.names import get_project_name

MOUNT = "/project"
"""Folder of the project in a container, unless `deploy.directory` says otherwise."""


@dataclass(frozen=True, slots=True)
class PlannedDeployment:
    """A deployment as the server should have it.

    Attributes:
        name: Its name; Prefect shows it after the flow's.
        file: The file of the flow in `flows/`, without its suffix.
        function: The flow's function.
        flow: The flow's name.
        description: Text on its page.
        entrypoint: Where a worker finds the flow.
        parameters: Arguments of its runs.
        directory: Working folder of its runs.
        job_variables: Variables of the work pool's jobs.
        tags: Its tags; the last one marks all deployments of the project.
        schedule: Cron expression or interval of its runs; None: only on demand.
        timezone: Time zone of the cron expression.
    """

    name: str
    file: str
    function: str
    flow: str
    description: str
    entrypoint: str
    parameters: dict[str, Any]
    directory: str
    job_variables: dict[str, Any]
    tags: tuple[str, ...]
    schedule: str | None = None
    timezone: str = "UTC"

    @property
    def full_name(self) -> str:
        return f"{self.flow}/{self.name}"


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """All deployments of a project. `omitted`: why others are left out, one sentence each."""

    project: str
    deployments: tuple[PlannedDeployment, ...]
    omitted: tuple[str, ...] = field(default=())

    @property
    def tag(self) -> str:
        return make_project_tag(self.project)


def make_project_tag(project: str) -> str:
    """Make the tag by which `curate deploy` knows its own deployments of a project."""
    return f"curate:{project}"


def plan_deployments(config: Config) -> DeploymentPlan:
    """List the deployments that `curate.yaml` asks for."""
    section, name = config.deploy, get_project_name(config)
    schedules, omitted = section.schedules, []

    def plan(
        suffix: str, file: str, function: str, flow: str, description: str, schedule: str | None = None
    ) -> PlannedDeployment:
        directory = find_run_directory(config)
        return PlannedDeployment(
            name=f"{name}-{suffix}" if suffix else name,
            file=file,
            function=function,
            flow=flow,
            description=description,
            entrypoint=make_entrypoint(config, file, function),
            parameters={"config": str(PurePosixPath(directory) / config.file_name)},
            directory=directory,
            job_variables=make_job_variables(config),
            tags=("curate", make_project_tag(name)),
            schedule=schedule,
            timezone=section.timezone,
        )

    deployments = [plan("", "curation", "curation", "curation", "All stages of curate.yaml, on demand.")]
    if schedules.nightly is not None:
        text = "All stages of curate.yaml; what is done already is skipped."
        deployments.append(plan("nightly", "curation", "curation", "curation", text, schedules.nightly))
    if "verify" not in config.model_fields_set:
        omitted.append("verify-pull and verification: curate.yaml has no section `verify`")
    else:
        text = "Takes in what people have answered in Label Studio."
        if config.verify.loop.through == "offline":
            omitted.append("verify-pull: people answer offline (`verify.loop.through`)")
        elif schedules.pull is not None:
            deployments.append(plan("hourly", "verify", "pull", "verify-pull", text, schedules.pull))
        text = "The two-stage loop; it pauses where people are wanted."
        if config.train is not None and config.train.judge is not None:
            deployments.append(plan("", "verify", "verification", "verification", text))
        else:
            omitted.append("verification: the loop needs `train` with a model that judges")
    if not config.resolve(section.certificate).is_file():
        omitted.append(f"certify-check: there is no {section.certificate} yet (`curate certify` makes one)")
    elif schedules.certify is not None:
        text = "Fails, with the reasons, when the certificate no longer holds."
        deployments.append(
            plan("weekly", "certify", "check_certificate", "certify-check", text, schedules.certify)
        )
    return DeploymentPlan(name, tuple(deployments), tuple(omitted))


def find_run_directory(config: Config) -> str:
    """Return the folder of the project where runs happen."""
    section = config.deploy
    if section.directory is not None:
        return section.directory
    return str(config.resolve(".")) if section.type == "process" else MOUNT


def make_entrypoint(config: Config, file: str, function: str) -> str:
    """Return where a worker finds a flow: a file of this installation, or a module of the image's."""
    if config.deploy.type == "process":
        return f"{find_resource(f'flows/{file}.py')}:{function}"
    return f"curate.flows.{file}.{function}"


def make_job_variables(config: Config) -> dict[str, Any]:
    """Return the variables of jobs: the image, the project's folder as a volume of a container, and the user's own."""
    section = config.deploy
    variables: dict[str, Any] = {}
    if section.type == "docker":
        variables = {
            "image": section.image,
            "volumes": [f"{config.resolve('.')}:{find_run_directory(config)}"],
        }
    elif section.type == "kubernetes":
        variables = {"image": section.image}
    return variables | section.job_variables
