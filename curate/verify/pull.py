"""Pull: people's answers become judgments, and so do their second thoughts.

The lake is brought in line with what Label Studio holds now, whatever happened in between: of each person and
task the newest answer counts. One that differs from what the lake has `supersedes` it; one that was deleted is
superseded by an abstention; a skip is an abstention. So pulling twice, in any order, or after being killed adds
nothing twice. Answers in projects or tasks that were deleted as a whole stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from filelock import FileLock

from curate.config.project import Config
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.core.resources import read_query
from curate.data.pseudonym import Pseudonyms
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, Summary
from curate.records import Judgment, VerifyTask, arrow_schema
from curate.verify.forms import Verdict, read_answer
from curate.verify.queue import read_queue
from curate.verify.server import LabelStudioClient, LabelStudioProject

_MARGIN = timedelta(minutes=2)  # transactions end after the times they note


@dataclass(frozen=True, slots=True)
class Annotation:
    """The newest annotation of one person for one task. `digest` identifies what it says."""

    task: VerifyTask
    annotator: str
    annotation: int
    item: int
    data: dict[str, Any]
    verdict: Verdict
    skipped: bool
    seconds: float
    at: str
    edited_by: str | None

    @property
    def digest(self) -> str:
        verdict = self.verdict
        return content_id(
            self.skipped, verdict.outcome, verdict.score, verdict.ranking, verdict.rationale, verdict.details
        )


def pull_answers(
    lake: Lake,
    config: Config,
    *,
    everything: bool = False,
    track: Track = no_progress,
) -> Summary:
    """Take in what changed since the last pull (or `everything`, to be sure).

    Counts: in = answers read, kept = new judgments, duplicate = answers that the lake has already,
    dropped = annotations of tasks that are not in the queue.
    """
    run = StageRun(lake, "verify", config_hash=config.verify.digest)
    known = {task.task_id: task for task, _ in read_queue(lake)}
    if not known:
        return run.summary(skipped=True, note="nobody was asked anything yet")
    with (
        LabelStudioClient.connect(config.verify) as server,
        FileLock(config.resolve(config.workspace) / "verify-pull.lock"),
    ):
        names = _PersonNames(server, Pseudonyms.open(config))
        for project in server.list_projects(config.verify.project):
            _pull_project(lake, run, server, project, known, names, everything, track)
    return run.summary(skipped=run.total.rows_in == 0)


def _pull_project(
    lake: Lake,
    run: StageRun,
    server: LabelStudioClient,
    project: LabelStudioProject,
    known: dict[str, VerifyTask],
    names: _PersonNames,
    everything: bool,
    track: Track,
) -> None:
    place = server.get_project_url(project)
    mark = server.find_newest_change(
        project
    )  # before anything is read: what changes meanwhile is read again next time
    before = run.total.rows_in
    with track(f"pull {project.title}", None) as advance:
        for seen in _iterate_tasks(lake, server, project, everything):
            _write_changes(lake, run, place, project.title, seen, known, names)
            advance(len(seen))
    if run.total.rows_in > before and mark is not None:
        # Only now: had this been kept with a portion, a process killed after it would skip the others.
        with run.chunk(f"pull {project.title}", fingerprint=content_id(place, mark), status="done") as (
            _,
            counts,
        ):
            counts.details |= {"place": place, "mark": mark}


class _PersonNames:
    """User ids as pseudonyms: of e-mail addresses, which outlive a server, else of the ids."""

    def __init__(self, server: LabelStudioClient, pseudonyms: Pseudonyms) -> None:
        self._addresses = server.list_emails()
        self._pseudonyms = pseudonyms
        self._url = server.url

    def of(self, user: Any) -> str:
        number = user.get("id") if isinstance(user, dict) else user
        if number in self._addresses:
            return self._pseudonyms.of(self._addresses[number])
        return self._pseudonyms.of(f"{self._url}/user/{number}")


def _iterate_tasks(
    lake: Lake, server: LabelStudioClient, project: LabelStudioProject, everything: bool
) -> Iterator[list[dict[str, Any]]]:
    """What must be looked at: tasks changed since the last pull, or all that have or had answers."""
    place = server.get_project_url(project)
    mark = None if everything else lake.value(read_query("verify_mark"), [place])
    if mark is not None:
        yield from server.download_annotated(
            project, server.list_changed_tasks(project, datetime.fromisoformat(mark) - _MARGIN)
        )
        return
    met: set[int] = set()
    for portion in server.download_annotated(project):
        met |= {int(task["id"]) for task in portion}
        yield portion
    # A task whose answers were all deleted is not among those that have some.
    query = (
        "SELECT DISTINCT CAST(details->'item' AS BIGINT) FROM human_judgments WHERE (details->>'place') = ?"
    )
    yield from server.download_annotated(
        project, [item for (item,) in lake.rows(query, [place]) if item not in met]
    )


def _write_changes(
    lake: Lake,
    run: StageRun,
    place: str,
    title: str,
    seen: Sequence[dict[str, Any]],
    known: dict[str, VerifyTask],
    names: _PersonNames,
) -> None:
    """Write what the lake does not have yet of the tasks `seen`; nothing, where it has all."""
    answers, read, strange = _find_newest(seen, known, names)
    tasks = {str(task["data"].get("task")): int(task["id"]) for task in seen}
    with lake.bind("seen", pa.table({"task": pa.array(list(tasks), pa.string())})):
        state = lake.arrow(read_query("verify_state")).to_pylist()
    current = {(row["task"], row["annotator_id"]): row for row in state}
    rows = [
        _build_judgment(answer, place, current.get(key), run.run_id).model_dump()
        for key, answer in answers.items()
        if key not in current or current[key]["digest"] != answer.digest
    ]
    gone = [
        row
        for key, row in current.items()
        if key not in answers and row["place"] == place and not _is_retracted(row)
    ]
    rows += [_build_retraction(row, run.run_id).model_dump() for row in gone]
    if not rows:
        return
    table = pa.Table.from_pylist(rows, schema=arrow_schema(Judgment))
    fingerprint = content_id([row["judgment_id"] for row in rows])
    with run.chunk(f"pull {title}", fingerprint=fingerprint) as (writer, counts):
        counts.rows_in = read + len(gone)
        counts.dropped = {"of a task that is not in the queue": strange} if strange else {}
        counts.rows_kept = writer.append("judgments", table, unique="judgment_id")
        counts.rows_duplicate = counts.rows_in - counts.rows_kept - counts.rows_dropped
        counts.details |= {"retracted": len(gone)}


def _find_newest(
    seen: Sequence[dict[str, Any]], known: dict[str, VerifyTask], names: _PersonNames
) -> tuple[dict[tuple[str, str], Annotation], int, int]:
    """The newest answer of each person to each task, the number of annotations, and of those that are not ours."""
    newest: dict[tuple[str, str], Annotation] = {}
    read = strange = 0
    for item in seen:
        task = known.get(str(item["data"].get("task")))
        for annotation in item.get("annotations", []):
            read += 1
            if task is None:
                strange += 1
                continue
            answer = _read_annotation(task, item, annotation, names)
            other = newest.get((task.task_id, answer.annotator))
            if other is None or (other.at, other.annotation) < (answer.at, answer.annotation):
                newest[task.task_id, answer.annotator] = answer
    return newest, read, strange


def _read_annotation(
    task: VerifyTask, item: dict[str, Any], annotation: dict[str, Any], names: _PersonNames
) -> Annotation:
    data, skipped = item["data"], bool(annotation.get("was_cancelled"))
    by, edited_by = annotation.get("completed_by"), annotation.get("updated_by")
    return Annotation(
        task=task,
        annotator=names.of(by),
        annotation=int(annotation["id"]),
        item=int(item["id"]),
        data=data,
        verdict=Verdict("abstain") if skipped else read_answer(data, annotation.get("result") or []),
        skipped=skipped,
        seconds=float(annotation.get("lead_time") or 0.0),
        at=str(annotation.get("updated_at")),
        edited_by=names.of(edited_by) if edited_by is not None and edited_by != by else None,
    )


def _build_judgment(answer: Annotation, place: str, before: dict[str, Any] | None, run_id: str) -> Judgment:
    task, verdict = answer.task, answer.verdict
    order = [str(each) for each in answer.data["order"]]
    pair = task.responses if task.form == "pairwise" else (*task.responses[:1], None)
    supersedes = before["judgment_id"] if before else None
    raw: dict[str, Any] = {
        "task": task.task_id,
        "place": place,
        "item": answer.item,
        "annotation": answer.annotation,
        "at": answer.at,
        "digest": answer.digest,
        "assist": bool(answer.data.get("assist")),
    }
    raw |= {"skipped": True} if answer.skipped else verdict.details
    raw |= {"edited_by": answer.edited_by} if answer.edited_by else {}
    return Judgment(
        judgment_id=content_id("answer", task.task_id, answer.annotator, answer.digest, supersedes),
        prompt_id=task.prompt_id,
        annotator_id=answer.annotator,
        kind="human",
        form=task.form,
        response_a=None if task.form == "listwise" else pair[0],
        response_b=None if task.form == "listwise" else pair[1],
        shown=("ab" if order[0] == pair[0] else "ba") if task.form == "pairwise" else None,
        outcome=verdict.outcome,
        score=verdict.score,
        ranking=verdict.ranking,
        listed=tuple(order) if task.form == "listwise" else None,
        rationale=verdict.rationale,
        raw=json.dumps(raw, ensure_ascii=False),
        revision=str(answer.data.get("revision", "label-studio")),
        seconds=answer.seconds,
        run_id=run_id,
        supersedes=supersedes,
    )


def _is_retracted(row: dict[str, Any]) -> bool:
    return bool(row["digest"] == "deleted")


def _build_retraction(row: dict[str, Any], run_id: str) -> Judgment:
    """The answer was deleted: an abstention takes its place."""
    raw = {
        "task": row["task"],
        "place": row["place"],
        "item": row["item"],
        "digest": "deleted",
        "deleted": True,
    }
    kept = {
        name: row[name] for name in ("prompt_id", "annotator_id", "form", "response_a", "response_b", "shown")
    }
    return Judgment(
        judgment_id=content_id("answer", row["task"], row["annotator_id"], "deleted", row["judgment_id"]),
        kind="human",
        outcome="abstain",
        listed=tuple(row["listed"]) if row["listed"] else None,
        raw=json.dumps(raw, ensure_ascii=False),
        revision=row["revision"],
        run_id=run_id,
        supersedes=row["judgment_id"],
        **kept,
    )
