"""How far people are: what is planned, asked and answered, and what each person did."""

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
    """What one person did, by pseudonym; `seconds`: median time of an answer."""

    annotator_id: str
    answered: int
    skipped: int
    taken_back: int
    seconds: float


@dataclass(frozen=True, slots=True)
class VerifyStatus:
    """`answered`: tasks with as many answers as `verify.overlap` wants, `begun`: with some, but fewer.

    `asked`: project → (tasks there, tasks finished there); None where the server cannot tell, and `trouble` says why.
    """

    planned: int
    answered: int
    begun: int
    people: tuple[PersonProgress, ...]
    asked: dict[str, tuple[int, int]] | None
    trouble: str | None = None


def read_verify_status(lake: Lake, config: Config) -> VerifyStatus:
    """Read the lake, and ask the server where it can be reached."""
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
