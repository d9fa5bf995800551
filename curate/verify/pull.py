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
from typing import Any

import pyarrow as pa
from filelock import FileLock

from curate.config.project import Config
from curate.core.human_forms import AskedAs
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.core.resources import read_query
from curate.data.judgments import JudgmentStatement, build_judgment_table
from curate.data.pseudonym import Pseudonyms
from curate.lake.forgotten import ForgottenNames
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, Summary
from curate.records import VerifyTask
from curate.verify.answer_reader import read_answer
from curate.verify.exported import (
    ExportedTask,
    TaskData,
    UnreadableAnswerError,
    read_annotation,
    read_author,
    read_task,
    read_task_data,
)
from curate.verify.forms import Verdict, get_form_asked
from curate.verify.human_judgments import (
    make_human_statement,
    make_retraction,
    replace_criterion_verdicts,
)
from curate.verify.queue import read_queue
from curate.verify.server import LabelStudioClient, LabelStudioProject
from curate.verify.state import get_judged_form

_MARGIN = timedelta(minutes=2)  # a transaction of the server ends later than the time that it records


@dataclass(frozen=True, slots=True)
class Annotation:
    """The newest annotation of a person for a task."""

    task: VerifyTask
    annotator: str
    annotation: int
    item: int
    data: TaskData
    asked_as: AskedAs
    verdict: Verdict
    skipped: bool
    seconds: float
    updated_at: datetime
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

    def find_pseudonym(self, number: int | None) -> str:
        """Return the pseudonym of a user."""
        if number in self._addresses:
            return self._pseudonyms.of(self._addresses[number])
        return self._pseudonyms.of(f"{self._url}/user/{number}")

    def is_forgotten(self, number: int | None) -> bool:
        """Tell whether `curate forget person` named this user."""
        return self._forgotten.has("person", self.find_pseudonym(number))


def _iterate_tasks(
    lake: Lake, server: LabelStudioClient, project: LabelStudioProject, everything: bool
) -> Iterator[list[ExportedTask | None]]:
    """Yield the tasks to look at: those changed since the last pull, or all that have or had answers.

    None: what the server has there is no task.
    """
    url = server.get_project_url(project)
    mark = None if everything else lake.value(read_query("verify_mark"), [url])
    if mark is not None:
        changed = server.list_changed_tasks(project, datetime.fromisoformat(mark) - _MARGIN)
        for items in server.iterate_annotations(project, changed):
            yield list(map(read_task, items))
        return
    seen: set[int] = set()
    for items in server.iterate_annotations(project):
        tasks = list(map(read_task, items))
        seen |= {task.id for task in tasks if task is not None}
        yield tasks
    # A task whose answers were all deleted is not among those that have some.
    query = "SELECT DISTINCT CAST(details->'item' AS BIGINT) FROM human_answers WHERE (details->>'place') = ?"
    left = [item for (item,) in lake.rows(query, [url]) if item not in seen]
    for items in server.iterate_annotations(project, left):
        yield list(map(read_task, items))


def _write_changes(
    lake: Lake,
    run: StageRun,
    url: str,
    title: str,
    tasks: Sequence[ExportedTask | None],
    known: dict[str, VerifyTask],
    people: _People,
) -> None:
    """Write the answers that the lake does not have yet; nothing where it has all of them."""
    answers, read, dropped, unread = _find_newest(tasks, known, people)
    ids = list(dict.fromkeys(task.key for task in tasks if task is not None and task.key is not None))
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
        if key not in answers
        and not unread.intersection((key, (key[0], None)))
        and row["place"] == url
        and not _is_retracted(row)
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
    tasks: Sequence[ExportedTask | None], known: dict[str, VerifyTask], people: _People
) -> tuple[dict[tuple[str, str], Annotation], int, Counter[str], set[tuple[str, str | None]]]:
    """Find the newest answer of each person to each task; count annotations, and those that do not count by reason.

    The last are task and person (None: of anybody) of the answers that cannot be read: what the lake has of them stays.
    """
    newest: dict[tuple[str, str], Annotation] = {}
    unread = set[tuple[str, str | None]]()
    read, dropped = 0, Counter[str]()
    for item in tasks:
        if item is None:
            read += 1
            dropped["that cannot be read"] += 1
            continue
        task = known.get(item.key) if item.key is not None else None
        if task is None:
            read += len(item.annotations)
            dropped["of a task that is not in the queue"] += len(item.annotations)
            continue
        for annotation in item.annotations:
            read += 1
            author: str | None = None
            try:
                number = read_author(annotation)
                author = people.find_pseudonym(number)
                if people.is_forgotten(number):
                    dropped["of a forgotten person"] += 1
                    continue
                answer = _read_annotation(task, item, annotation, people)
            except UnreadableAnswerError:
                dropped["that cannot be read"] += 1
                unread.add((task.task_id, author))
                continue
            other = newest.get((task.task_id, answer.annotator))
            if other is None or (other.updated_at, other.annotation) < (
                answer.updated_at,
                answer.annotation,
            ):
                newest[task.task_id, answer.annotator] = answer
    return newest, read, dropped, unread


def _read_annotation(task: VerifyTask, item: ExportedTask, content: Any, people: _People) -> Annotation:
    """Read an annotation of a task that was asked.

    Raises:
        UnreadableAnswerError: It is none, or the task in Label Studio is another one than the question.
    """
    annotation, data = read_annotation(content), read_task_data(item.data)
    if sorted(data.order) != sorted(task.responses):
        raise UnreadableAnswerError("the task in Label Studio is about other responses than the question")
    asked = get_form_asked(data.form)
    if asked is None or get_judged_form(asked) != task.form:
        raise UnreadableAnswerError("the task in Label Studio has another form than the question")
    skipped = bool(annotation.was_cancelled)
    by, edited_by = annotation.completed_by, annotation.updated_by
    return Annotation(
        task=task,
        annotator=people.find_pseudonym(by),
        annotation=annotation.id,
        item=item.id,
        data=data,
        asked_as=asked,
        verdict=Verdict("abstain") if skipped else read_answer(data, annotation.result or []),
        skipped=skipped,
        seconds=annotation.lead_time,
        updated_at=annotation.changed_at,
        edited_by=people.find_pseudonym(edited_by)
        if edited_by is not None and edited_by != by and not people.is_forgotten(edited_by)
        else None,
    )


def _make_statement(answer: Annotation, url: str, before: dict[str, Any] | None) -> JudgmentStatement:
    task, verdict = answer.task, answer.verdict
    raw: dict[str, Any] = {
        "task": task.task_id,
        "place": url,
        "item": answer.item,
        "annotation": answer.annotation,
        "at": answer.updated_at.isoformat(),
        "digest": answer.digest,
        "assist": answer.data.assist,
    }
    raw |= {"skipped": True} if answer.skipped else verdict.details
    raw |= {"edited_by": answer.edited_by} if answer.edited_by else {}
    return make_human_statement(
        ("answer", task.task_id, answer.annotator, answer.digest),
        task=task,
        asked_as=answer.asked_as,
        annotator_id=answer.annotator,
        order=answer.data.order,
        verdict=verdict,
        raw=raw,
        revision=answer.data.revision,
        seconds=answer.seconds,
        supersedes=before["judgment_id"] if before else None,
    )


def _is_retracted(row: dict[str, Any]) -> bool:
    return bool(row["digest"] == "deleted")
