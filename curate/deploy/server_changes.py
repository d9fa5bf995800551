"""Bring a project's deployments to a Prefect server; what is there already as it should be stays untouched.

Deployments are known by a tag of the project: those that curate.yaml no longer asks for are removed, others never.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    DeploymentUpdate,
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    WorkPoolCreate,
)
from prefect.client.schemas.filters import DeploymentFilter
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from curate.config.deploy import DeploySection, parse_interval
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.resources import find_resource
from curate.deploy.dead_runs import watch_dead_runs
from curate.deploy.deployments import DeploymentPlan, PlannedDeployment
from curate.deploy.failure_notice import load_notifier
from curate.deploy.stage_tasks import LOCAL_MODEL

_ANCHOR = datetime(
    2020, 1, 1, tzinfo=UTC
)  # of intervals: a fixed one, so that the same schedule compares equal


def apply_plan(client: SyncPrefectClient, config: Config, plan: DeploymentPlan) -> Iterator[str]:
    """Bring work pool, limits and deployments to the server; yield a line for each that changed.

    Args:
        client: Client of the server.
        config: The project.
        plan: Its deployments.

    Raises:
        CurateError: The work pool is of another type, or the block of `deploy.notify` is not there.
    """
    if config.deploy.notify is not None:
        load_notifier(config.deploy.notify)
    yield from _ensure_work_pool(client, config.deploy)
    yield from _set_limits(client, config.deploy)
    yield from watch_dead_runs(client, plan.project, plan.tag)
    existing = {
        (deployment.name, client.read_flow(deployment.flow_id).name): deployment
        for deployment in client.read_deployments(
            deployment_filter=DeploymentFilter.model_validate({"tags": {"all_": [plan.tag]}})
        )
    }
    for wanted in plan.deployments:
        deployment = existing.pop((wanted.name, wanted.flow), None)
        values = _list_values(config.deploy, wanted)
        if deployment is None:
            flow_id = client.create_flow_from_name(wanted.flow)
            client.create_deployment(flow_id=flow_id, name=wanted.name, **_wrap_schedules(values))
            yield f"created {wanted.full_name}{_describe_schedule(wanted)}"
        elif differences := _list_differences(deployment, values):
            changed = {name: value for name, value in values.items() if name in differences}
            client.update_deployment(deployment.id, DeploymentUpdate(**_wrap_schedules(changed)))
            yield f"changed {wanted.full_name}: {', '.join(sorted(differences))}{_describe_schedule(wanted)}"
    for (name, flow), deployment in existing.items():
        client.delete_deployment(deployment.id)
        yield f"removed {flow}/{name}"


def _ensure_work_pool(client: SyncPrefectClient, section: DeploySection) -> Iterator[str]:
    try:
        pool = client.read_work_pool(section.work_pool)
    except ObjectNotFound:
        client.create_work_pool(
            WorkPoolCreate(
                name=section.work_pool,
                type=section.type,
                base_job_template=read_job_template(client, section.type),
            )
        )
        yield f"created work pool {section.work_pool} ({section.type})"
        return
    if pool.type != section.type:
        raise CurateError(
            f"The work pool {section.work_pool!r} is of type {pool.type}, not {section.type}: name another one as "
            "`deploy.work_pool`, or set `deploy.type`."
        )


def read_job_template(client: SyncPrefectClient, pool_type: str) -> dict[str, Any]:
    """Read the job template of a new work pool: ours for Kubernetes (the project is a volume), else Prefect's own."""
    if pool_type == "kubernetes":
        text = find_resource("flows/kubernetes-job-template.json").read_text(encoding="utf-8")
        template: dict[str, Any] = json.loads(text)
        return template
    for package in client.read_worker_metadata().values():
        if pool_type in package:
            return dict(package[pool_type]["default_base_job_configuration"])
    raise CurateError(f"The Prefect server knows no work pools of type {pool_type}.")


def _set_limits(client: SyncPrefectClient, section: DeploySection) -> Iterator[str]:
    for name, limit in section.limits.items():
        tag = name if name == LOCAL_MODEL else f"engine:{name}"
        limit_name = f"tag:{tag}"  # so called, Prefect holds tasks with that tag to it
        try:
            present = client.read_global_concurrency_limit_by_name(limit_name)
        except ObjectNotFound:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=limit_name, limit=limit))
            yield f"created limit {name}: {limit} at a time"
            continue
        if present.limit != limit:
            client.update_global_concurrency_limit(limit_name, GlobalConcurrencyLimitUpdate(limit=limit))
            yield f"changed limit {name}: {limit} at a time, was {present.limit}"


def _list_values(section: DeploySection, wanted: PlannedDeployment) -> dict[str, Any]:
    """List what a deployment should have, as JSON values; `schedules` as (schedule, active) without ids."""
    flow: Any = load_flow_from_entrypoint(f"{find_resource(f'flows/{wanted.file}.py')}:{wanted.function}")
    return {
        "description": wanted.description,
        "parameters": wanted.parameters,
        "tags": list(wanted.tags),
        "work_pool_name": section.work_pool,
        "entrypoint": wanted.entrypoint,
        "job_variables": wanted.job_variables,
        "parameter_openapi_schema": parameter_schema(flow).model_dump_for_openapi(),
        "enforce_parameter_schema": True,
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": wanted.directory}}],
        "schedules": [_make_schedule(wanted)] if wanted.schedule else [],
    }


def _make_schedule(wanted: PlannedDeployment) -> CronSchedule | IntervalSchedule:
    schedule = wanted.schedule or ""
    interval = parse_interval(schedule)
    if interval is not None:
        return IntervalSchedule(interval=interval, anchor_date=_ANCHOR, timezone="UTC")
    return CronSchedule(cron=schedule, timezone=wanted.timezone)


def _list_differences(deployment: DeploymentResponse, values: dict[str, Any]) -> set[str]:
    present = {name: getattr(deployment, name) for name in values}
    present["schedules"] = [schedule.schedule for schedule in deployment.schedules]
    return {name for name, value in values.items() if _write_json(present[name]) != _write_json(value)}


def _write_json(value: Any) -> str:
    """Write a value so that equal ones are equal texts, whatever objects they are."""

    def write_object(item: Any) -> Any:
        return item.model_dump(mode="json") if hasattr(item, "model_dump") else str(item)

    return json.dumps(value, sort_keys=True, default=write_object)


def _wrap_schedules(values: dict[str, Any]) -> dict[str, Any]:
    """Return values as the client sends them."""
    if "schedules" not in values:
        return values
    schedules = [DeploymentScheduleCreate(schedule=schedule) for schedule in values["schedules"]]
    return values | {"schedules": schedules}


def _describe_schedule(wanted: PlannedDeployment) -> str:
    if wanted.schedule is None:
        return ""
    zone = "" if parse_interval(wanted.schedule) else f" {wanted.timezone}"
    return f" ({wanted.schedule}{zone})"
