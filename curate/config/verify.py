"""The section `verify` of `curate.yaml`: what people are asked, how they are watched, and the two-stage loop."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from curate.core.errors import CurateError
from curate.core.section import Section

Strategy = Literal[
    "expected-value", "uncertainty", "dropped-arcs", "disagreement", "threshold", "errors", "d-optimal"
]


class VerifyPlan(Section):
    """Which pairs people are asked about."""

    random: float = Field(
        0.2,
        gt=0,
        le=1,
        description="Share of questions drawn blind: what calibration and the guarantee stand on.",
    )
    mix: dict[Strategy, Annotated[float, Field(ge=0)]] = Field(
        {"expected-value": 1.0},
        description="How the other questions are shared among strategies.",
    )
    embedder: str | None = Field(
        None,
        description="Sentence-embedding model for the strategies errors and d-optimal: a folder, pypi:PACKAGE, or "
        "owner/name on the hub. Default: that of `train`, if the file has this section.",
    )
    seed: int = 0

    @field_validator("mix")
    @classmethod
    def _asks_something(cls, mix: dict[str, float]) -> dict[str, float]:
        if sum(mix.values()) <= 0:
            raise ValueError("at least one strategy needs a share above 0")
        return mix


class VerifyQuality(Section):
    """How the quality of people's work is watched; shares are of all questions."""

    gold: float = Field(
        0.05, ge=0, le=0.5, description="Share of pairs that people have agreed on, asked again as a test."
    )
    repeat: float = Field(
        0.03,
        ge=0,
        le=0.5,
        description="Share of pairs that are asked again, for each person's agreement with itself.",
    )
    adjudicate: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Most of the questions that may be about pairs on which people disagree.",
    )
    fast: float = Field(
        3.0,
        gt=0,
        description="An answer is too fast this many robust standard deviations below the median log time of all.",
    )


class VerifyLoop(Section):
    """The two-stage loop: turns in which people are asked, then labels by consistency without them."""

    turns: int = Field(8, ge=1, description="Turns of stage 1: train, ask people, wait for their answers.")
    budget: int = Field(200, ge=1, description="Questions that may wait for an answer in a turn.")
    mix: dict[Strategy, Annotated[float, Field(ge=0)]] = Field(
        {"errors": 1.0},
        description="In place of `verify.plan.mix`: neighbours of what the reward model gets wrong.",
    )
    through: Literal["label-studio", "offline"] = Field(
        "label-studio",
        description="Where people answer. offline: spreadsheets or the terminal; nothing is pushed or pulled.",
    )
    recycle: bool = Field(
        True, description="Turn round the labels that stage 2 refuses; false: discard them."
    )


class VerifySection(Section):
    """What people are asked, and in which Label Studio."""

    url: str = Field(
        "http://localhost:8080", description="Label Studio's address; its token: LABEL_STUDIO_API_KEY."
    )
    project: str = Field(
        "curate",
        min_length=3,
        max_length=30,
        description="Name of the projects there, one for each form of task.",
    )
    overlap: int = Field(1, ge=1, description="Different people who answer each task.")
    pointwise: Literal["pass-fail", "rubric", "critique"] = Field(
        "pass-fail", description="How people see a task about a single response."
    )
    criteria: list[str] = Field(default_factory=list, description="What the rubric form asks people to tick.")
    guideline: str | None = Field(None, description="Text file shown beside each task.")
    guidelines: dict[str, str] = Field(
        default_factory=dict, description="Other text files by category (`category` in a prompt's meta)."
    )
    assist: bool = Field(False, description="Show people what the panel says; their answers are marked so.")

    plan: VerifyPlan = VerifyPlan()
    quality: VerifyQuality = VerifyQuality()
    loop: VerifyLoop = VerifyLoop()

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give an address such as http://localhost:8080")
        if parts.username or parts.password or parts.query:
            # Not a ValueError: that would be told together with the value.
            raise CurateError(
                "`verify.url` holds a password or token: take it out, and set LABEL_STUDIO_API_KEY."
            )
        return url.rstrip("/")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.pointwise == "rubric" and not self.criteria:
            raise ValueError("the rubric form needs `criteria`")
        return self
