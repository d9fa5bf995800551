"""Client of Label Studio, through its SDK: projects, bulk import, lists of keys, exports and webhooks.

Every failure is one sentence with the address and without the token. The token comes from the environment alone
(`LABEL_STUDIO_API_KEY`: a legacy token or a personal access token).
"""

from __future__ import annotations

import contextlib
import html
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from curate.config.verify import VerifySection
from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.verify.forms import read_label_config

if TYPE_CHECKING:
    import httpx
    from label_studio_sdk.client import LabelStudio
    from label_studio_sdk.core.request_options import RequestOptions

TOKEN_VARIABLE = "LABEL_STUDIO_API_KEY"
REQUEST_SECONDS = 300.0  # after which the server is taken for dead; a bulk request takes long
_ONCE: RequestOptions = {"max_retries": 0}  # the SDK's retries would import the same tasks again
_IDS = 200  # task ids in the address of one export


@dataclass(frozen=True, slots=True)
class LabelStudioProject:
    """A project in Label Studio: all tasks of one form."""

    id: int
    title: str


class LabelStudioError(CurateError):
    """The server did not answer or reported a failure of its own, so the request may have taken effect or not."""


class LabelStudioClient:
    """A connection to one Label Studio; use it as a context manager."""

    def __init__(self, url: str, client: LabelStudio, connections: httpx.Client) -> None:
        self.url = url
        self.client = client
        self._connections = connections

    def __enter__(self) -> LabelStudioClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._connections.close()

    @classmethod
    def connect(cls, section: VerifySection, *, seconds: float = REQUEST_SECONDS) -> LabelStudioClient:
        """Sign in.

        Raises:
            CurateError: The server cannot be reached or refuses the token, or the SDK is not installed.
        """
        token = os.environ.get(TOKEN_VARIABLE)
        if not token:
            raise CurateError(
                f"{TOKEN_VARIABLE} is not set: copy an access token from Account & Settings of {section.url}."
            )
        require_extra("label-studio", "label_studio_sdk", "httpx", purpose="Talking to Label Studio")
        import httpx
        from label_studio_sdk.client import LabelStudio

        connections = httpx.Client(timeout=seconds, follow_redirects=True)
        try:
            with _explain_errors(section.url):
                client: LabelStudio = LabelStudio(  # type: ignore[no-untyped-call]
                    base_url=section.url, api_key=token.strip(), httpx_client=connections, timeout=seconds
                )
                client.users.whoami()
        except BaseException:
            connections.close()
            raise
        return cls(section.url, client, connections)

    def get_project_url(self, project: LabelStudioProject) -> str:
        """Return the address of a project, which names it in the judgments of its answers."""
        return f"{self.url}/projects/{project.id}"

    def list_emails(self) -> dict[int, str]:
        """List user id → e-mail address."""
        with _explain_errors(self.url):
            return {int(user.id): user.email for user in self.client.users.list() if user.id and user.email}

    def find_project(self, title: str) -> LabelStudioProject | None:
        """Find the project of a title; the oldest one, if two processes have created it at once."""
        with _explain_errors(self.url):
            listed: list[Any] = list(self.client.projects.list(title=title))
        ids = [int(project.id) for project in listed if project.title == title]
        return LabelStudioProject(min(ids), title) if ids else None

    def ensure_project(
        self, title: str, form: str, *, guideline: str, section: VerifySection, aspect: str | None = None
    ) -> LabelStudioProject:
        """Return the project of a title, after creating it or bringing its settings up to date.

        Args:
            title: Title of the project.
            form: Form of its tasks.
            guideline: Text shown to people as instruction.
            section: `verify` of curate.yaml.
            aspect: The one criterion that its tasks ask about.
        """
        settings: dict[str, Any] = {
            "label_config": read_label_config(form, aspect),
            "expert_instruction": f'<div style="white-space: pre-wrap">{html.escape(guideline)}</div>',
            "maximum_annotations": section.overlap,
            "show_collab_predictions": section.assist,
            "show_skip_button": True,
            "sampling": "Sequential sampling",
        }
        project = self.find_project(title)
        with _explain_errors(self.url):
            if project is None:
                created = self.client.projects.create(
                    title=title, description="Filled and read by `curate verify`.", **settings
                )
                return LabelStudioProject(int(created.id or 0), title)
            current = self.client.projects.get(project.id)
            if any(getattr(current, name, None) != value for name, value in settings.items()):
                self.client.projects.update(project.id, **settings)
        return project

    def list_task_keys(self, project: LabelStudioProject) -> dict[str, list[int]]:
        """List key of the queue → ids of its tasks in the project (more than one if it was imported twice)."""
        with _explain_errors(self.url):
            ids: dict[str, list[int]] = {}
            task: Any
            for task in self.client.tasks.list(
                project=project.id, page_size=1000, fields="task_only", resolve_uri=False
            ):
                data = task.data if isinstance(task.data, dict) else {}
                if isinstance(key := data.get("task"), str):
                    ids.setdefault(key, []).append(int(task.id))
            return ids

    def import_tasks(self, project: LabelStudioProject, tasks: Sequence[dict[str, Any]]) -> None:
        """Add tasks, in one transaction of the server. Not retried: see `curate.verify.push`."""
        with _explain_errors(self.url):
            self.client.projects.import_tasks(
                project.id, request=cast(Any, list(tasks)), request_options=_ONCE
            )

    def delete_task(self, task: int) -> None:
        """Delete a task by its id."""
        with _explain_errors(self.url):
            self.client.tasks.delete(str(task))

    def list_projects(self, name: str) -> list[LabelStudioProject]:
        """List all projects that were created under a name."""
        with _explain_errors(self.url):
            listed: list[Any] = list(self.client.projects.list(title=name))
        return [
            LabelStudioProject(int(project.id), project.title)
            for project in listed
            if str(project.title).startswith(f"{name} - ")
        ]

    def find_newest_change(self, project: LabelStudioProject) -> str | None:
        """Return when a task of the project changed last, by the server's clock (ISO 8601); None without tasks."""
        query = json.dumps({"ordering": ["-tasks:updated_at"]})
        with _explain_errors(self.url):
            newest: Any = self.client.tasks.list(
                project=project.id, page=1, page_size=1, query=query, fields="task_only", resolve_uri=False
            )
            task: Any = next(iter(newest), None)
        return None if task is None else str(task.updated_at)

    def list_changed_tasks(self, project: LabelStudioProject, since: datetime) -> list[int]:
        """List ids of the tasks that changed after a time; annotating a task changes it."""
        after = since.astimezone(UTC).strftime(
            "%Y-%m-%dT%H:%M:%S.%fZ"
        )  # the only format that the filter reads
        column = {
            "filter": "filter:tasks:updated_at",
            "operator": "greater",
            "type": "Datetime",
            "value": after,
        }
        query = json.dumps({"filters": {"conjunction": "and", "items": [column]}})
        with _explain_errors(self.url):
            tasks: Any = self.client.tasks.list(
                project=project.id, page_size=1000, query=query, fields="task_only", resolve_uri=False
            )
            return [int(task.id) for task in tasks]

    def iterate_annotations(
        self, project: LabelStudioProject, ids: Sequence[int] | None = None
    ) -> Iterator[list[Any]]:
        """Yield lists of tasks and their annotations as they are there: all that have some, or those of `ids`."""
        if ids is None:
            yield self._download_tasks(project, download_all_tasks=False)
            return
        for start in range(0, len(ids), _IDS):
            batch = [str(number) for number in ids[start : start + _IDS]]
            yield self._download_tasks(project, download_all_tasks=True, ids=batch)

    def _download_tasks(self, project: LabelStudioProject, **options: Any) -> list[Any]:
        if "ids" in options:  # the SDK names it `ids`, the server reads `ids[]`
            ids = options.pop("ids")
            options["request_options"] = {"additional_query_parameters": {"ids[]": ids}}
        with _explain_errors(self.url):
            stream = self.client.projects.exports.download_sync(project.id, export_type="JSON", **options)
            text = b"".join(stream)
        try:
            tasks = json.loads(text)
        except (ValueError, RecursionError):  # also bytes of no encoding, and numbers of 5,000 digits
            tasks = None
        if not isinstance(tasks, list):
            raise LabelStudioError(
                f"Label Studio at {self.url} exported {project.title} as something else than a list of tasks: look at "
                f"{self.get_project_url(project)}, then run the same command again to continue."
            )
        return tasks

    def register_webhook(
        self, project: LabelStudioProject, url: str, *, headers: dict[str, str], actions: Sequence[str]
    ) -> None:
        """Make the server POST to a URL on changes of a project; replaces an earlier webhook to that URL.

        Args:
            project: The project.
            url: Address to call.
            headers: Headers of each call.
            actions: Names of the changes, as Label Studio has them.
        """
        self.delete_webhook(project, url)
        with _explain_errors(self.url):
            self.client.webhooks.create(
                url=url,
                project=project.id,
                headers=headers,
                send_payload=False,
                actions=cast(Any, list(actions)),
                send_for_all_actions=False,
            )

    def delete_webhook(self, project: LabelStudioProject, url: str) -> None:
        """Delete the project's webhooks to an address."""
        with _explain_errors(self.url):
            for webhook in self.client.webhooks.list(project=str(project.id)):
                if webhook.url == url and webhook.id is not None:
                    self.client.webhooks.delete(webhook.id)

    def count_tasks(self, project: LabelStudioProject) -> tuple[int, int]:
        """Count the tasks of a project, and those with as many answers as `verify.overlap` asks for."""
        with _explain_errors(self.url):
            current = self.client.projects.get(project.id)
        return int(current.task_number or 0), int(current.finished_task_number or 0)

    def wait_until_up(self, *, timeout: float) -> None:
        """Return when the server answers again; raise LabelStudioError after `timeout` seconds."""
        ends, pause = time.monotonic() + timeout, 0.5
        while True:
            try:
                with _explain_errors(self.url):
                    self.client.users.whoami(request_options=_ONCE)
                return
            except LabelStudioError:
                if time.monotonic() + pause > ends:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, 10)


@contextlib.contextmanager
def _explain_errors(url: str) -> Iterator[None]:
    """Turn errors of the SDK into sentences. Its own texts hold headers and whole pages, so little of them is used."""
    import httpx
    from label_studio_sdk.core.api_error import ApiError

    try:
        yield
    except httpx.TimeoutException:
        raise LabelStudioError(
            f"Label Studio at {url} took too long to answer: run the same command again to continue."
        ) from None
    except (httpx.TransportError, json.JSONDecodeError) as error:
        raise LabelStudioError(
            f"Label Studio at {url} cannot be reached ({type(error).__name__}): start it, or correct `verify.url`; "
            "then run the same command again to continue."
        ) from None
    except ApiError as error:
        status = error.status_code or 0
        if status in (401, 403):
            raise CurateError(
                f"Label Studio at {url} refuses the token in {TOKEN_VARIABLE} ({status}): copy a valid one from "
                "Account & Settings (legacy tokens must be enabled for the organisation)."
            ) from None
        if status >= 500 or status in (0, 408, 429):
            raise LabelStudioError(
                f"Label Studio at {url} failed ({status}): run the same command again to continue."
            ) from None
        raise CurateError(
            f"Label Studio at {url} answered {status}: {_describe_error(error.body)}."
        ) from None


def _describe_error(body: Any) -> str:
    if isinstance(body, dict):
        reason = body.get("validation_errors") or body.get("detail") or "no reason given"
        return json.dumps(reason, ensure_ascii=False)[:300].strip('"')
    return "is there a Label Studio at this address?"
