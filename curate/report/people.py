"""Facts about people's work, if people have judged pairs."""

from __future__ import annotations

from dataclasses import dataclass

from curate.config.project import Config
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.stats.groups import MIN_VERDICTS, Groups, find_groups
from curate.stats.reliability import PersonQuality, Quality, measure_quality

PEOPLE_SHOWN = 40
DISPUTES_SHOWN = 10
MAX_VERDICTS = 50_000  # that views are looked for among: `curate verify groups` takes its time with more


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Questions of one purpose in the queue, and how many of them have no answer yet."""

    purpose: str
    asked: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Dispute:
    """A pair on which people differ: how many are for a, for neither and for b."""

    prompt_id: str
    prompt: str | None
    people: int
    a: int
    ties: int
    b: int
    asked: bool


@dataclass(frozen=True, slots=True)
class PeopleFacts:
    """Facts about people; `groups` is None if there are too few verdicts to find views or too many to be quick."""

    quality: Quality
    groups: Groups | None
    questions: list[QueueCounts]
    disputes: list[Dispute]

    @property
    def listed_people(self) -> list[PersonQuality]:
        """The people of the table: first those with a flag, then by number of answers."""
        order = sorted(
            self.quality.people, key=lambda person: (not person.flags, -person.answers, person.annotator_id)
        )
        return order[:PEOPLE_SHOWN]

    @property
    def groups_titles(self) -> list[tuple[str, str]]:
        """Columns of a table with one number for each group."""
        return [(f"Group {g}", "n") for g in range(1, len(self.groups.share) + 1)] if self.groups else []

    @property
    def verdicts(self) -> int:
        return sum(person.answers for person in self.quality.people)


def gather_people(reader: Lake, config: Config) -> PeopleFacts | None:
    """Measure people's work; None if nobody has judged a pair."""
    if not reader.has("verify_tasks"):  # a snapshot from before
        return None
    measured = measure_quality(reader, fast=config.verify.quality.fast)
    if not measured.people:
        return None
    several = len(measured.people) > 1 and MIN_VERDICTS <= measured.pair_verdicts <= MAX_VERDICTS
    asked = reader.rows("SELECT purpose, count(*) FROM verify_tasks GROUP BY purpose ORDER BY purpose")
    waiting = dict(
        reader.rows(f"SELECT purpose, count(*) FROM ({read_query('verify_waiting')}) GROUP BY purpose")
    )
    return PeopleFacts(
        quality=measured,
        groups=find_groups(reader) if several else None,
        questions=[QueueCounts(purpose, number, waiting.get(purpose, 0)) for purpose, number in asked],
        disputes=[Dispute(*row) for row in reader.rows(read_query("report_disputed"), [DISPUTES_SHOWN])],
    )
