"""The criteria that the rubric form asks about: the prompt's own, else the rubric's, else those of curate.yaml."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.data.rubric import Criterion, Rubric, read_rubric
from curate.verify.display import reveal_characters
from curate.verify.exported import TaskData


class AskedCriterion(NamedTuple):
    """A criterion as people are asked about it; `id` is that of `curate.data.rubric.Criterion`."""

    id: str
    name: str
    text: str
    weight: float = 1.0


class CriterionAnswer(NamedTuple):
    """A person's answer to one criterion."""

    criterion: AskedCriterion
    is_met: bool


def read_project_rubric(config: Config) -> Rubric | None:
    """Read the rubric that `verify.rubric` names.

    Raises:
        CurateError: It cannot be read, or it has no criterion that people can answer.
    """
    if config.verify.rubric is None:
        return None
    rubric = read_rubric(config.resolve(config.verify.rubric))
    if not list_rubric_criteria(rubric):
        raise CurateError(
            f"The rubric {config.verify.rubric} has nothing but features, which are measured: give it a criterion that "
            "people can answer."
        )
    return rubric


def list_rubric_criteria(rubric: Rubric) -> tuple[AskedCriterion, ...]:
    """List the criteria of a rubric that people can answer: all but features, which are measured."""
    return tuple(_ask_criterion(criterion) for criterion in rubric.criteria if criterion.kind != "feature")


def list_text_criteria(texts: Sequence[str]) -> tuple[AskedCriterion, ...]:
    """List criteria of which only the sentences are known; each counts 1.

    Raises:
        ValueError: One is longer than a criterion may be.
    """
    asked = []
    for number, text in enumerate(texts, start=1):
        if not 0 < len(text.strip()) <= 2000:
            raise ValueError("with a criterion that is empty or longer than 2,000 characters")
        slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-")
        asked.append(_ask_criterion(Criterion(name=slug or f"criterion-{number}", text=text)))
    return tuple(asked)


def compute_rubric_score(answers: Sequence[CriterionAnswer]) -> float:
    """Compute the weighted share of criteria that are met; those with a weight below 0 speak against the response."""
    total = sum(abs(criterion.weight) for criterion, _ in answers)
    met = sum(criterion.weight for criterion, is_met in answers if is_met)
    return met / total if total else 0.0


def pack_criteria(criteria: Sequence[AskedCriterion]) -> list[dict[str, Any]]:
    """Return criteria as JSON, for the data of a task."""
    return [criterion._asdict() for criterion in criteria]


def unpack_criteria(data: TaskData) -> tuple[AskedCriterion, ...]:
    """Return the criteria that the data of a task asks about; tasks from before name their sentences alone."""
    if data.asked_criteria is not None:
        return tuple(AskedCriterion(**criterion.model_dump()) for criterion in data.asked_criteria)
    return list_text_criteria([criterion.value for criterion in data.criteria][:-1])


def _ask_criterion(criterion: Criterion) -> AskedCriterion:
    return AskedCriterion(
        criterion.criterion_id, criterion.name, reveal_characters(criterion.text), criterion.weight
    )
