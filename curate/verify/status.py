"""The status of verification: planned, asked and answered questions, and the work of each person."""

from __future__ import annotations

from dataclasses import dataclass

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.verify.queue import read_queue
from curate.verify.server import LabelStudioClient


@dataclass(frozen=True, slots=True)
class PersonProgress:
    """The work of a person, by pseudonym; `seconds`: median time of an answer."""

    annotator_id: str
    answered: int
    skipped: int
    taken_back: int
    seconds: float


@dataclass(frozen=True, slots=True)
class VerifyStatus:
    """The status of verification.

    | field      | meaning |
    | ---        | --- |
    | `planned`  | tasks of the queue |
    | `answered` | tasks with as many answers as `verify.overlap` asks for |
    | `begun`    | tasks with some answers, but fewer |
    | `people`   | the work of each person |
    | `asked`    | project → (its tasks, its finished tasks); None where the server cannot be asked |
    | `trouble`  | why it cannot be asked |
    """

    planned: int
    answered: int
    begun: int
    people: tuple[PersonProgress, ...]
    asked: dict[str, tuple[int, int]] | None
    trouble: str | None = None


def read_verify_status(lake: Lake, config: Config) -> VerifyStatus:
    """Read the status from the lake, and from Label Studio where it can be reached."""
    tasks = read_queue(lake)
    overlap = config.verify.overlap
    asked, trouble = None, None
    try:
        with LabelStudioClient.connect(config.verify) as server:
            projects = server.list_projects(config.verify.project)
            asked = {project.title: server.count_tasks(project) for project in projects}
    except CurateError as error:
        trouble = str(error)
    return VerifyStatus(
        planned=len(tasks),
        answered=sum(people >= overlap for _, people in tasks),
        begun=sum(0 < people < overlap for _, people in tasks),
        people=tuple(PersonProgress(*row) for row in lake.rows(read_query("verify_people"))),
        asked=asked,
        trouble=trouble,
    )
