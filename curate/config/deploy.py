"""The section `deploy` of `curate.yaml`: runs that a Prefect server starts by itself, and where."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from curate.core.section import Section

_INTERVAL = re.compile(r"every (\d+) ?(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def parse_interval(schedule: str) -> timedelta | None:
    """Return the interval of a schedule such as `every 15m`; None for a cron expression.

    >>> parse_interval("every 15m"), parse_interval("0 2 * * *")
    (datetime.timedelta(seconds=900), None)
    """
    match = _INTERVAL.fullmatch(schedule)
    return None if match is None else timedelta(**{_UNITS[match[2]]: int(match[1])})


class Schedules(Section):
    """When runs start: a cron expression, or `every 15m` (s, m, h, d). null: no such deployment."""

    nightly: str | None = Field("0 2 * * *", description="All stages (the flow `curation`).")
    pull: str | None = Field(
        "7 * * * *",
        description="Answers of people (the flow `verify-pull`); deployed where curate.yaml has a section `verify`.",
    )
    certify: str | None = Field(
        "0 6 * * 1",
        description="Whether the certificate still holds (the flow `certify-check`); deployed once there is one.",
    )

    @field_validator("nightly", "pull", "certify")
    @classmethod
    def _check_schedule(cls, schedule: str | None) -> str | None:
        if schedule is None:
            return None
        interval = parse_interval(schedule)
        if interval is None and len(schedule.split()) != 5:
            raise ValueError(
                "give five fields of cron, such as '0 2 * * *', or an interval, such as 'every 15m'"
            )
        if interval is not None and interval < timedelta(seconds=1):
            raise ValueError("the interval has to be a second or more")
        return schedule


class DeploySection(Section):
    """Runs that a Prefect server starts by itself; `curate deploy` brings them to it."""

    name: str | None = Field(
        None,
        max_length=40,
        description="Name of the deployments: small letters, digits and hyphens. Default: the project folder's name.",
    )
    work_pool: str = Field("curate", min_length=1, description="Prefect work pool; made where it is missing.")
    type: Literal["process", "docker", "kubernetes"] = Field(
        "process", description="What a run is: a process of the worker, a container, or a Kubernetes job."
    )
    image: str | None = Field(None, description="Container image with curate, for docker and kubernetes.")
    directory: str | None = Field(
        None,
        description="Folder of the project where runs happen, if it is another one than here (in a container).",
    )
    job_variables: dict[str, Any] = Field(
        default_factory=dict, description="Further variables of the work pool's jobs, such as env or volumes."
    )
    schedules: Schedules = Schedules()
    timezone: str = Field("UTC", description="Time zone of cron expressions, such as Europe/Berlin.")
    certificate: str = Field("certificate.json", description="Certificate that `certify-check` checks.")
    retries: int = Field(2, ge=0, le=10, description="How often a stage that failed is tried again.")
    retry_delay: float = Field(
        30.0, ge=0, description="Seconds before the first retry; each later one waits twice as long."
    )
    timeout: float = Field(86_400.0, gt=0, description="Seconds after which a stage is stopped as failed.")
    limits: dict[str, int] = Field(
        default_factory=dict,
        description="Most chunks at a time, over all runs of the server: by name of an engine, or `local-model` for "
        "all work with a model in the worker's own process (one for each GPU).",
    )
    notify: str | None = Field(
        None,
        description="Prefect block that gets a message when a run fails or crashes, as type/name: slack-webhook/team, "
        "custom-webhook/pager, sendgrid-email/team.",
    )
    report_url: str | None = Field(
        None, description="Address at which the report is served, for the link on a run's page."
    )
    wait_days: float = Field(
        30.0,
        gt=0,
        description="Days that a paused run of the loop waits for people before it counts as failed.",
    )

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str | None) -> str | None:
        if name is not None and not _NAME.fullmatch(name):
            raise ValueError("use small letters, digits and single hyphens")
        return name

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, timezone: str) -> str:
        if timezone not in available_timezones():
            raise ValueError("there is no such time zone; give a name such as UTC or Europe/Berlin")
        return timezone

    @field_validator("limits")
    @classmethod
    def _check_limits(cls, limits: dict[str, int]) -> dict[str, int]:
        for name, limit in limits.items():
            if limit < 1:
                raise ValueError(f"{name!r} needs a limit of 1 or more")
        return limits

    @field_validator("notify")
    @classmethod
    def _check_notify(cls, notify: str | None) -> str | None:
        if notify is not None and notify.count("/") != 1:
            raise ValueError("give the block as type/name, such as slack-webhook/team")
        return notify

    @model_validator(mode="after")
    def _needs_image(self) -> Self:
        if self.type != "process" and self.image is None:
            raise ValueError(f"type {self.type} needs an `image`")
        return self
