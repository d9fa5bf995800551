"""`curate verify pull`: answers in Label Studio become judgments, and so do changed and deleted answers.

The lake is brought in line with what Label Studio holds now, whatever happened since the last pull. For each person
and task the newest answer counts. An answer that differs from the lake's supersedes it; a deleted answer is superseded
by an abstention; a skip is an abstention. So pulling twice, in any order, or after the process was killed adds nothing
twice. Answers in projects or tasks that were deleted as a whole stay in the lake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

import pyarrow as pa
from filelock import FileLock

from curate.config.project import Config
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.core.resources import read_query
from curate.data.judgments import JudgmentStatement, build_judgment_table
from curate.data.pseudonym import Pseudonyms
from curate.lake.forgotten import ForgottenNames
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, Summary
from curate.records import VerifyTask
from curate.verify.forms import UnreadableAnswerError, Verdict, get_form_asked, read_answer
from curate.verify.human_judgments import (
    make_human_statement,
    make_retraction,
    replace_criterion_verdicts,
)
from curate.verify.queue import read_queue
from curate.verify.server import LabelStudioClient, LabelStudioProject

_MARGIN = timedelta(minutes=2)  # a transaction of the server ends later than the time that it records


@dataclass(frozen=True, slots=True)
class Annotation:
    """The newest annotation of a person for a task."""

    task: VerifyTask
    annotator: str
    annotation: int
    item: int
    data: dict[str, Any]
    verdict: Verdict
    skipped: bool
    seconds: float
    updated_at: str
    edited_by: str | None

    @property
    def digest(self) -> str:
        """Identifies what the annotation says."""
        verdict = self.verdict
        score = None if self.task.form == "pairwise" else verdict.score  # the strength is among the details
        return content_id(
            self.skipped, verdict.outcome, score, verdict.ranking, verdict.rationale, verdict.details
        )


def pull_answers(
    lake: Lake,
    config: Config,
    *,
    everything: bool = False,
    track: Track = no_progress,
) -> Summary:
    """Take in what changed since the last pull.

    Args:
        lake: The project's lake, open for writing.
        config: The project; `verify.url` and `verify.project` name the server and its projects.
        everything: Look at every task, not only at those that changed.
        track: Shows the progress.

    Returns:
        Counts: in = answers read, kept = new judgments, duplicate = answers that the lake has already, dropped =
        annotations of tasks that are not in the queue.

    Raises:
        CurateError: Label Studio cannot be reached, or refuses the token.
    """
    run = StageRun(lake, "verify", config_hash=config.verify.digest)
    known = {task.task_id: task for task, _ in read_queue(lake)}
    if not known:
        return run.summary(skipped=True, note="nobody was asked anything yet")
    with (
        LabelStudioClient.connect(config.verify) as server,
        FileLock(config.resolve(config.workspace) / "verify-pull.lock"),
    ):
        people = _People(server, Pseudonyms.open(config), ForgottenNames.read(lake))
        for project in server.list_projects(config.verify.project):
            _pull_project(lake, run, server, project, known, people, everything, track)
    return run.summary(skipped=run.total.rows_in == 0)


def _pull_project(
    lake: Lake,
    run: StageRun,
    server: LabelStudioClient,
    project: LabelStudioProject,
    known: dict[str, VerifyTask],
    people: _People,
    everything: bool,
    track: Track,
) -> None:
    url = server.get_project_url(project)
    # Before reading the tasks, so that changes meanwhile are read again next time.
    mark = server.find_newest_change(project)
    before = run.total.rows_in
    with track(f"pull {project.title}", None) as advance:
        for tasks in _iterate_tasks(lake, server, project, everything):
            _write_changes(lake, run, url, project.title, tasks, known, people)
            advance(len(tasks))
    if run.total.rows_in > before and mark is not None:
        # Not earlier: a process killed after a part of the tasks would skip the others next time.
        with run.chunk(f"pull {project.title}", fingerprint=content_id(url, mark), status="done") as (
            _,
            counts,
        ):
            counts.details |= {"place": url, "mark": mark}


class _People:
    """Pseudonyms of Label Studio's users: of e-mail addresses, which outlive a server, else of user ids."""

    def __init__(self, server: LabelStudioClient, pseudonyms: Pseudonyms, forgotten: ForgottenNames) -> None:
        self._forgotten = forgotten
        self._addresses = server.list_emails()
        self._pseudonyms = pseudonyms
        self._url = server.url

    def find_pseudonym(self, user: Any) -> str:
        """Return the pseudonym of a user, given as an object or an id."""
        number = user.get("id") if isinstance(user, dict) else user
        if number in self._addresses:
            return self._pseudonyms.of(self._addresses[number])
        return self._pseudonyms.of(f"{self._url}/user/{number}")

    def is_forgotten(self, user: Any) -> bool:
        """Tell whether `curate forget person` named this user."""
        return self._forgotten.has("person", self.find_pseudonym(user))


def _iterate_tasks(
    lake: Lake, server: LabelStudioClient, project: LabelStudioProject, everything: bool
) -> Iterator[list[dict[str, Any]]]:
    """Yield the tasks to look at: those changed since the last pull, or all that have or had answers."""
    url = server.get_project_url(project)
    mark = None if everything else lake.value(read_query("verify_mark"), [url])
    if mark is not None:
        yield from server.iterate_annotations(
            project, server.list_changed_tasks(project, datetime.fromisoformat(mark) - _MARGIN)
        )
        return
    seen: set[int] = set()
    for tasks in server.iterate_annotations(project):
        seen |= {int(task["id"]) for task in tasks}
        yield tasks
    # A task whose answers were all deleted is not among those that have some.
    query = "SELECT DISTINCT CAST(details->'item' AS BIGINT) FROM human_answers WHERE (details->>'place') = ?"
    yield from server.iterate_annotations(
        project, [item for (item,) in lake.rows(query, [url]) if item not in seen]
    )


def _write_changes(
    lake: Lake,
    run: StageRun,
    url: str,
    title: str,
    tasks: Sequence[dict[str, Any]],
    known: dict[str, VerifyTask],
    people: _People,
) -> None:
    """Write the answers that the lake does not have yet; nothing where it has all of them."""
    answers, read, dropped, unread = _find_newest(tasks, known, people)
    ids = list(dict.fromkeys(str(task["data"].get("task")) for task in tasks))
    with lake.bind("seen", pa.table({"task": pa.array(ids, pa.string())})):
        state = lake.arrow(read_query("verify_state")).to_pylist()
    current = {(row["task"], row["annotator_id"]): row for row in state}
    changed = [
        (answer, _make_statement(answer, url, current.get(key)))
        for key, answer in answers.items()
        if key not in current or current[key]["digest"] != answer.digest
    ]
    deleted = [
        row
        for key, row in current.items()
        if key not in answers and key not in unread and row["place"] == url and not _is_retracted(row)
    ]
    statements = [statement for _, statement in changed] + [make_retraction(row) for row in deleted]
    if not statements:
        return
    table = build_judgment_table(statements, run_id=run.run_id)
    fingerprint = content_id(table["judgment_id"].to_pylist())
    with run.chunk(f"pull {title}", fingerprint=fingerprint) as (writer, counts):
        counts.rows_in = read + len(deleted)
        counts.dropped = dict(dropped)
        counts.rows_kept = writer.append("judgments", table, unique="judgment_id")
        counts.rows_duplicate = counts.rows_in - counts.rows_kept - counts.rows_dropped
        counts.details |= {"retracted": len(deleted)}
        replace_criterion_verdicts(
            writer,
            [(statement, answer.task, answer.verdict) for answer, statement in changed],
            [(row["task"], row["annotator_id"]) for row in deleted],
            run_id=run.run_id,
        )


def _find_newest(
    tasks: Sequence[dict[str, Any]], known: dict[str, VerifyTask], people: _People
) -> tuple[dict[tuple[str, str], Annotation], int, Counter[str], set[tuple[str, str]]]:
    """Find the newest answer of each person to each task; count annotations, and those that do not count by reason.

    The last are task and person of the answers that cannot be read: what the lake has of them stays.
    """
    newest: dict[tuple[str, str], Annotation] = {}
    unread = set[tuple[str, str]]()
    read, dropped = 0, Counter[str]()
    for item in tasks:
        task = known.get(str(item["data"].get("task")))
        for annotation in item.get("annotations", []):
            read += 1
            if task is None:
                dropped["of a task that is not in the queue"] += 1
                continue
            if people.is_forgotten(annotation.get("completed_by")):
                dropped["of a forgotten person"] += 1
                continue
            try:
                answer = _read_annotation(task, item, annotation, people)
            except UnreadableAnswerError:
                dropped["that cannot be read"] += 1
                unread.add((task.task_id, people.find_pseudonym(annotation.get("completed_by"))))
                continue
            other = newest.get((task.task_id, answer.annotator))
            if other is None or (other.updated_at, other.annotation) < (
                answer.updated_at,
                answer.annotation,
            ):
                newest[task.task_id, answer.annotator] = answer
    return newest, read, dropped, unread


def _read_annotation(
    task: VerifyTask, item: dict[str, Any], annotation: dict[str, Any], people: _People
) -> Annotation:
    data, skipped = item["data"], bool(annotation.get("was_cancelled"))
    if sorted(map(str, data.get("order") or [])) != sorted(task.responses):
        raise UnreadableAnswerError("the task in Label Studio is about other responses than the question")
    by, edited_by = annotation.get("completed_by"), annotation.get("updated_by")
    return Annotation(
        task=task,
        annotator=people.find_pseudonym(by),
        annotation=int(annotation["id"]),
        item=int(item["id"]),
        data=data,
        verdict=Verdict("abstain") if skipped else read_answer(data, annotation.get("result") or []),
        skipped=skipped,
        seconds=_read_seconds(annotation.get("lead_time")),
        updated_at=str(annotation.get("updated_at")),
        edited_by=people.find_pseudonym(edited_by)
        if edited_by is not None and edited_by != by and not people.is_forgotten(edited_by)
        else None,
    )


def _read_seconds(value: object) -> float:
    seconds = float(value) if isinstance(value, (int, float)) else 0.0
    return seconds if isfinite(seconds) else 0.0


def _make_statement(answer: Annotation, url: str, before: dict[str, Any] | None) -> JudgmentStatement:
    task, verdict = answer.task, answer.verdict
    raw: dict[str, Any] = {
        "task": task.task_id,
        "place": url,
        "item": answer.item,
        "annotation": answer.annotation,
        "at": answer.updated_at,
        "digest": answer.digest,
        "assist": bool(answer.data.get("assist")),
    }
    raw |= {"skipped": True} if answer.skipped else verdict.details
    raw |= {"edited_by": answer.edited_by} if answer.edited_by else {}
    return make_human_statement(
        ("answer", task.task_id, answer.annotator, answer.digest),
        task=task,
        asked_as=get_form_asked(str(answer.data["form"])),
        annotator_id=answer.annotator,
        order=[str(response) for response in answer.data["order"]],
        verdict=verdict,
        raw=raw,
        revision=str(answer.data.get("revision", "label-studio")),
        seconds=answer.seconds,
        supersedes=before["judgment_id"] if before else None,
    )


def _is_retracted(row: dict[str, Any]) -> bool:
    return bool(row["digest"] == "deleted")
