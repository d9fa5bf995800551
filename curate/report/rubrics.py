"""Facts about rubrics: what each criterion is worth on the labels, with a pair that it wins and one that it loses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.stats.intervals import wilson_interval


@dataclass(frozen=True, slots=True)
class PairExample:
    """A pair of the labels: its prompt, the better response and the worse one."""

    prompt: str
    better: str
    worse: str


@dataclass(frozen=True, slots=True)
class CriterionFacts:
    """Evidence of a criterion on the final labels.

    Of the pairs that it tells apart, the better response has it more in `won` and less in `lost`. `agree` of `both`
    responses have the same verdict of people and of the verifier; `failed` verdicts failed.
    """

    name: str
    text: str
    kind: str
    weight: float
    reason: str | None
    won: int
    lost: int
    agree: int
    both: int
    failed: int
    won_example: PairExample | None
    lost_example: PairExample | None

    @property
    def share(self) -> float | None:
        """Share of the pairs told apart in which the better response has it more."""
        return self.won / (self.won + self.lost) if self.won + self.lost else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `share`, as if pairs were independent."""
        return wilson_interval(self.won, self.won + self.lost)


@dataclass(frozen=True, slots=True)
class RubricFacts:
    """The newest rubric of a name."""

    name: str
    version: int
    about: str | None
    aspect: str | None
    origin: str
    revision: str
    criteria: list[CriterionFacts]
    accuracy: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Evidence:
    won: int = 0
    lost: int = 0
    won_example: tuple[str, str] | None = None
    lost_example: tuple[str, str] | None = None
    both: int = 0
    agree: int = 0
    failed: int = 0


def gather_rubrics(reader: Lake) -> list[RubricFacts]:
    """Gather the newest rubric of each name with its evidence; that of features was kept when they were selected."""
    rows = reader.rows(read_query("report_rubrics"))
    if not rows:
        return []
    judged = {
        row[0]: _Evidence(row[1], row[2], _as_pair(row[3]), _as_pair(row[4]), row[5], row[6], row[7])
        for row in reader.rows(read_query("report_criteria"))
    }
    listed = []
    for name, version, about, aspect, origin, revision, criteria, details in rows:
        kept = json.loads(details)
        evidence = {
            criterion["name"]: judged.get(criterion["criterion_id"]) or _read_kept(kept, criterion["name"])
            for criterion in json.loads(criteria)
        }
        texts = _read_texts(reader, evidence)
        listed.append(
            RubricFacts(
                name=name,
                version=version,
                about=about,
                aspect=aspect,
                origin=origin,
                revision=revision,
                criteria=[
                    _describe(criterion, evidence[criterion["name"]], texts)
                    for criterion in json.loads(criteria)
                ],
                accuracy={key: float(value) for key, value in (kept.get("accuracy") or {}).items()},
            )
        )
    return listed


def _as_pair(value: Any) -> tuple[str, str] | None:
    return (value[0], value[1]) if value else None


def _read_kept(details: Mapping[str, Any], name: str) -> _Evidence:
    """Read the evidence that a rubric's row keeps of a criterion that is measured."""
    kept = (details.get("evidence") or {}).get(name) or {}
    return _Evidence(
        won=kept.get("won", 0),
        lost=kept.get("lost", 0),
        won_example=_as_pair(kept.get("won_example")),
        lost_example=_as_pair(kept.get("lost_example")),
    )


def _read_texts(reader: Lake, evidence: Mapping[str, _Evidence]) -> dict[str, tuple[str, str]]:
    """Read response → (text, prompt) of all examples."""
    wanted = sorted(
        {
            response
            for row in evidence.values()
            for pair in (row.won_example, row.lost_example)
            if pair is not None
            for response in pair
        }
    )
    with reader.bind("wanted", pl.DataFrame({"response_id": wanted}, {"response_id": pl.String})):
        rows = reader.rows(read_query("report_rubric_texts"))
    return {response: (text or "", prompt or "") for response, text, prompt in rows}


def _describe(
    criterion: Mapping[str, Any], evidence: _Evidence, texts: Mapping[str, tuple[str, str]]
) -> CriterionFacts:
    def show(pair: tuple[str, str] | None) -> PairExample | None:
        if pair is None or not all(response in texts for response in pair):
            return None  # forgotten since
        better, worse = (texts[response] for response in pair)
        return PairExample(prompt=better[1], better=better[0], worse=worse[0])

    return CriterionFacts(
        name=criterion["name"],
        text=criterion["text"],
        kind=criterion["kind"],
        weight=criterion["weight"],
        reason=criterion["reason"],
        won=evidence.won,
        lost=evidence.lost,
        agree=evidence.agree,
        both=evidence.both,
        failed=evidence.failed,
        won_example=show(evidence.won_example),
        lost_example=show(evidence.lost_example),
    )
