"""Rubrics: criteria by which a response is judged, as files that people edit and as rows of the lake.

    name: helpful
    about: What the answers of March were rewarded for.
    criteria:
    - name: answers-first
      text: The response answers the question before it says anything else.
      kind: principle
      weight: 1.5
    - name: hedging
      text: The response hedges.
      kind: feature
      feature: hedges
      weight: -0.4
      scale: 0.02
      reason: Of two responses, people chose the one with fewer hedges in 61 % of the pairs.

A criterion has an id of its own, which depends on what a verifier reads alone: a new weight asks no verifier again.
The rubric's `revision` depends on the criteria, their weights and their order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from curate.config.validation import validate_options
from curate.core.atomic import atomic_file
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.section import Section
from curate.core.yaml_file import parse_yaml
from curate.records import RubricCriterion, RubricRow

MOST_CRITERIA = 1000  # of a rubric: each asks a model about each response

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]
Text = Annotated[str, Field(max_length=100_000)]
Sentence = Annotated[str, Field(min_length=1, max_length=2000)]


class Criterion(Section):
    """One sentence that is true or false of a response, and what it counts."""

    name: Slug = Field(description="Short name, in small letters with hyphens.")
    text: Sentence = Field(description="A sentence that is true or false of a response.")
    kind: Literal["hard", "principle", "feature"] = Field(
        "principle",
        description="hard: the prompt demands it. principle: a quality. feature: a number that is measured.",
    )
    weight: float = Field(
        1.0,
        ge=-1e9,
        le=1e9,
        allow_inf_nan=False,
        description="What the criterion counts; below 0, where it speaks against a response. Of a feature: for each "
        "`scale` that it is more.",
    )
    reason: Text | None = Field(None, description="Why the criterion is here, in words.")
    feature: str | None = Field(None, description="What is measured; only of the kind feature.")
    scale: float | None = Field(
        None, gt=0.0, allow_inf_nan=False, description="Unit of the feature to which the weight applies."
    )
    examples: tuple[Text, ...] = Field((), description="Excerpts of which the sentence is true.")

    @field_validator("text")
    @classmethod
    def _check_text(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("a criterion is a sentence")
        return " ".join(text.split())

    @model_validator(mode="after")
    def _check_feature(self) -> Self:
        if (self.kind == "feature") != (self.feature is not None):
            raise ValueError(
                "a criterion of the kind feature names its `feature`, and no other does "
                f"(criterion {self.name!r} is of the kind {self.kind})"
            )
        if self.scale is not None and self.feature is None:
            raise ValueError(f"`scale` is the unit of a feature (criterion {self.name!r} has none)")
        return self

    @cached_property
    def criterion_id(self) -> str:
        """Identifies what a verifier reads: neither the weight nor the reason nor the name."""
        return content_id("criterion", self.text, self.kind, self.feature, list(self.examples))


class Rubric(Section):
    """Criteria under a name; `revision` identifies what they say and count."""

    name: Slug = Field(description="Name of the rubric, and of its file.")
    version: int = Field(1, ge=1, description="Number that its author raises.")
    about: Text | None = Field(None, description="What the rubric is for, in words.")
    aspect: str | None = Field(
        None, min_length=1, max_length=200, description="The one aspect of quality that it is about."
    )
    prompt_id: str | None = Field(None, description="The one prompt that it is for; default: any.")
    sources: tuple[Text, ...] = Field((), description="Where it comes from: data, methods, people.")
    criteria: tuple[Criterion, ...] = Field(min_length=1, max_length=MOST_CRITERIA)

    @field_validator("criteria")
    @classmethod
    def _check_names(cls, criteria: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
        counts = Counter(criterion.name for criterion in criteria)
        if repeats := sorted(name for name, count in counts.items() if count > 1):
            raise ValueError(f"two criteria have the name {repeats[0]!r}")
        return criteria

    @cached_property
    def revision(self) -> str:
        """Identifies the criteria in their order with their weights, the aspect and the prompt."""
        criteria = [
            [criterion.name, criterion.criterion_id, criterion.weight, criterion.scale]
            for criterion in self.criteria
        ]
        return content_id("rubric", self.aspect, self.prompt_id, criteria)

    def score(self, satisfaction: Mapping[str, float]) -> float | None:
        """Return the weighted mean of what is known of a response; None where nothing is.

        Args:
            satisfaction: Name of a criterion → probability that its sentence is true of the response, or the value of
                its feature. Criteria without an entry do not count.

        Returns:
            Σ weight · value / Σ |weight| over the criteria that have a value, a feature's value in units of its scale.
        """
        total = mass = 0.0
        for criterion in self.criteria:
            value = satisfaction.get(criterion.name)
            if value is None or not math.isfinite(value):
                continue
            total += criterion.weight * value / (criterion.scale or 1.0)
            mass += abs(criterion.weight)
        return total / mass if mass else None


def read_rubric(path: Path) -> Rubric:
    """Read a rubric from its YAML file.

    Raises:
        CurateError: The file cannot be read, or is no rubric; the sentence names the key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CurateError(
            f"There is no rubric at {path}: name a YAML file with `name` and `criteria`."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CurateError(f"Cannot read the rubric {path}: {error}.") from error
    return parse_rubric(text, str(path))


def parse_rubric(text: str, where: str) -> Rubric:
    """Parse a rubric from YAML text; `where` is its name in error messages."""
    document = parse_yaml(text, where)
    if not isinstance(document, dict):
        raise CurateError(f"{where} is no rubric: it should be a mapping with `name` and `criteria`.")
    try:
        return validate_options(Rubric, document)
    except CurateError as error:
        raise CurateError("\n".join(f"{where}: {line}" for line in str(error).splitlines())) from None


def write_rubric(path: Path, rubric: Rubric, *, comment: str = "") -> None:
    """Write a rubric as YAML, with `comment` as lines of `#` above it; the file is replaced as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        temporary.write_text(format_rubric(rubric, comment=comment), encoding="utf-8")


def format_rubric(rubric: Rubric, *, comment: str = "") -> str:
    """Return the YAML text of a rubric: keys in the order of the type, defaults left out."""
    document = rubric.model_dump(mode="json", exclude_defaults=True, exclude={"criteria"})
    document["criteria"] = [_dump_criterion(criterion) for criterion in rubric.criteria]
    lines = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return lines + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """Writes line breaks of Unicode as escapes, where they would come back as blanks."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if any(char in text for char in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _dump_criterion(criterion: Criterion) -> dict[str, Any]:
    always = {"name": criterion.name, "text": criterion.text, "kind": criterion.kind}
    return always | {"weight": criterion.weight} | criterion.model_dump(mode="json", exclude_defaults=True)


def build_rubric_row(rubric: Rubric, *, origin: str, run_id: str, details: str = "{}") -> RubricRow:
    """Build the row of the table `rubrics`; `details` is a JSON object of counts."""
    return RubricRow(
        **{name: getattr(rubric, name) for name in ("revision", "name", "version", "about", "aspect")},
        prompt_id=rubric.prompt_id,
        sources=rubric.sources,
        criteria=tuple(
            RubricCriterion(criterion_id=criterion.criterion_id, **criterion.model_dump())
            for criterion in rubric.criteria
        ),
        origin=origin,
        details=details,
        run_id=run_id,
    )
