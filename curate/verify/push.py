"""`curate verify push`: new questions go to Label Studio, each task once.

The tasks that a project holds are always looked up in Label Studio by their keys, never remembered here. So it does
not matter whether an earlier push was killed, whether its last request arrived, or whether the project was deleted
since: missing tasks are sent, and tasks that arrived twice are deleted again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from filelock import FileLock

from curate.config.project import Config
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, Summary
from curate.verify.exported import read_task
from curate.verify.forms import WITH_MEDIA, TaskItem, build_task_data, choose_form, suggest_choice
from curate.verify.guidelines import Guidelines
from curate.verify.media_links import MediaLinks
from curate.verify.queue import read_queue, read_task_items
from curate.verify.server import LabelStudioClient, LabelStudioError, LabelStudioProject

IMPORT_BATCH = 250  # tasks of one request
_LONGEST_TITLE = 50  # of a project of Label Studio, in characters
RECOVERY_SECONDS = 60.0  # to wait for a server that stopped answering


def push_tasks(lake: Lake, config: Config, *, track: Track = no_progress) -> Summary:
    """Send the queue to Label Studio.

    Args:
        lake: The project's lake, open for writing.
        config: The project; `verify` names the server, the projects and the guidelines.
        track: Shows the progress.

    Returns:
        Counts: in = tasks of the queue, kept = sent, duplicate = asked already or answered by enough people,
        dropped = cannot be shown, by reason.

    Raises:
        CurateError: Label Studio cannot be reached, or a guideline cannot be read.
    """
    waiting = read_queue(lake)
    run = StageRun(lake, "verify", config_hash=config.verify.digest)
    if not waiting:
        return run.summary(
            skipped=True, note="nobody is to be asked anything: `curate verify plan` fills the queue"
        )
    people = {task.task_id: answers for task, answers in waiting}
    by_title: dict[str, list[TaskItem]] = {}
    for item in read_task_items(lake, [task for task, _ in waiting]):
        by_title.setdefault(name_project(item, config), []).append(item)
    guidelines = Guidelines(config)
    with (
        LabelStudioClient.connect(config.verify) as server,
        FileLock(config.resolve(config.workspace) / "verify-push.lock"),
    ):
        for title, group in by_title.items():
            answered = {
                item.task.task_id for item in group if people[item.task.task_id] >= config.verify.overlap
            }
            _push_project(server, run, config, guidelines, title, group, answered, track)
    return run.summary(skipped=run.total.rows_in == 0)


def name_project(item: TaskItem, config: Config) -> str:
    """Name the project of a task: one for each form and aspect, and others for adjudicators."""
    form = choose_form(item, config.verify)
    title = f"{config.verify.project} - {'adjudicate ' * (item.task.purpose == 'adjudicate')}{form}"
    aspect = item.task.aspect
    if aspect is None:
        return title
    if len(title) + len(aspect) + 3 > _LONGEST_TITLE:
        aspect = f"{aspect[: max(_LONGEST_TITLE - len(title) - 12, 0)]} {content_id(aspect)[:8]}"
    return f"{title} ({aspect})"


def _push_project(
    server: LabelStudioClient,
    run: StageRun,
    config: Config,
    guidelines: Guidelines,
    title: str,
    group: Sequence[TaskItem],
    answered: set[str],
    track: Track,
) -> None:
    form = choose_form(group[0], config.verify)
    project = server.find_project(title)
    known = set(server.list_task_keys(project)) if project else set()
    ready, dropped = _prepare_tasks(
        [item for item in group if item.task.task_id not in known | answered], form, config, guidelines
    )
    if project is None and not ready:
        return
    project = server.ensure_project(
        title,
        form,
        guideline=guidelines.find_text(None),
        section=config.verify,
        aspect=group[0].task.aspect,
    )
    panel = (
        _read_panel_probabilities(run.lake)
        if config.verify.assist and form.startswith("pairwise") and group[0].task.aspect is None
        else {}
    )
    with track(f"push {title}", len(ready)) as advance:
        for start in range(0, len(ready), IMPORT_BATCH):
            batch = ready[start : start + IMPORT_BATCH]
            _import_tasks(server, project, [_add_prediction(data, panel) for data in batch])
            advance(len(batch))
    if not ready:
        return
    if server.count_tasks(project)[0] != len(known) + len(ready):  # else no task is there twice
        _delete_duplicates(server, project)
    fingerprint = content_id(server.get_project_url(project), [data["task"] for data in ready])
    with run.chunk(f"push {title}", fingerprint=fingerprint, status="done") as (_, counts):
        counts.rows_in, counts.rows_kept, counts.dropped = len(group), len(ready), dropped
        counts.rows_duplicate = len(group) - len(ready) - counts.rows_dropped


def _prepare_tasks(
    group: Iterable[TaskItem], form: str, config: Config, guidelines: Guidelines
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Prepare tasks for the import; also return how many cannot be shown, by reason."""
    ready: list[dict[str, Any]] = []
    dropped: dict[str, int] = {}
    links = MediaLinks.open(config) if form.endswith(WITH_MEDIA) else None
    for item in group:
        try:
            ready.append(
                build_task_data(
                    item,
                    form,
                    guideline=guidelines.find_text(item.category),
                    section=config.verify,
                    links=links,
                    rubric=guidelines.rubric,
                )
            )
        except ValueError as error:
            dropped[str(error)] = dropped.get(str(error), 0) + 1
    return ready, dropped


def _import_tasks(
    server: LabelStudioClient, project: LabelStudioProject, tasks: Sequence[dict[str, Any]]
) -> None:
    """Import tasks; after a failure, import those that did not arrive, until all have arrived.

    The server may still be working on a request that failed: wait until the number of its tasks stops growing.
    """
    for attempt in range(3):
        try:
            server.import_tasks(project, tasks)
            return
        except LabelStudioError:
            if attempt == 2:
                raise
        server.wait_until_up(timeout=RECOVERY_SECONDS)
        arrived = set(server.list_task_keys(project))
        while (now := set(server.list_task_keys(project))) != arrived:
            arrived = now
            time.sleep(1)
        tasks = [task for task in tasks if task["data"]["task"] not in arrived]
        if not tasks:
            return


def _delete_duplicates(server: LabelStudioClient, project: LabelStudioProject) -> None:
    """Delete the newer copies of tasks that are there twice; copies that somebody has answered stay."""
    copies = [ids for ids in server.list_task_keys(project).values() if len(ids) > 1]
    for ids in copies:
        for items in server.iterate_annotations(project, sorted(ids)[1:]):
            for task in map(read_task, items):
                if task is not None and not task.annotations:
                    server.delete_task(task.id)


def _add_prediction(data: dict[str, Any], panel: dict[tuple[str, str], float]) -> dict[str, Any]:
    """Build the task for the import; in assist mode it suggests the panel's label."""
    order = data["order"]
    p_a = panel.get((min(order), max(order))) if panel else None
    if p_a is None:
        return {"data": data}
    choice = suggest_choice(p_a if order[0] == min(order) else 1 - p_a)
    value = {"choices": [choice]}
    part = {"from_name": "verdict", "to_name": "left", "type": "choices", "value": value}
    return {
        "data": data,
        "predictions": [{"model_version": "panel", "score": abs(2 * p_a - 1), "result": [part]}],
    }


def _read_panel_probabilities(lake: Lake) -> dict[tuple[str, str], float]:
    """Read the probability that a is better, of each pair, from the last aggregation."""
    return {
        (a, b): p_a for a, b, p_a in lake.rows("SELECT response_a, response_b, p_a FROM final_preferences")
    }
