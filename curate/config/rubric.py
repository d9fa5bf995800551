"""`rubric`: criteria that say what makes a response better, where they come from and which of them stay."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from curate.config.paths import FilePath
from curate.config.rubric_extract import RubricExtract
from curate.core.section import Section


class RubricSelection(Section):
    """Which criteria stay: those that many random halves of the prompts pick, or that say different things."""

    method: Literal["stability", "coding-rate"] = Field(
        "stability",
        description="stability: criteria that many random halves of the prompts pick. coding-rate: criteria whose "
        "sentences say different things, whatever the labels. Either way the sign of each must be known.",
    )
    gain: float = Field(
        0.3, ge=0.0, description="Nats that a criterion must add to those before it, with coding-rate."
    )
    embedder: str | None = Field(
        None,
        description="Embedding model that says how alike two sentences are, with coding-rate: a folder, pypi:PACKAGE "
        "or hub id; default: by words in common.",
    )
    most: int = Field(15, ge=1, le=100, description="Criteria that stay at most.")
    picks: int | None = Field(
        None,
        ge=1,
        description="Criteria that each half picks at most; default: a third of all, from 5 to 10.",
    )
    threshold: float = Field(
        0.75, gt=0.5, le=1.0, description="Share of the halves that must pick a criterion."
    )
    halvings: int = Field(50, ge=5, description="Random halvings; each gives two halves.")
    resamples: int = Field(200, ge=20, description="Bootstrap draws of prompts, for intervals.")
    folds: int = Field(5, ge=2, description="Parts of the prompts that are held out in turn.")
    pairs: int = Field(
        20_000,
        ge=100,
        description="Pairs that features are measured of at most: a random part of the prompts.",
    )
    seed: int = Field(0, description="Start of all random draws.")


class RubricVerification(Section):
    """Which criteria are sound: those whose verdicts agree with the labels, and that say something."""

    consistency: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="Share of pairs that it tells apart in which the better response has it.",
    )
    coverage: float = Field(
        0.02, ge=0.0, le=1.0, description="Share of pairs that a criterion must tell apart at least."
    )
    redundancy: float = Field(
        0.7,
        gt=0.0,
        le=1.0,
        description="Likeness from which two criteria are one: of their verdicts or their words.",
    )


class RubricSection(Section):
    """Criteria of quality: measured, verified and selected."""

    folder: FilePath = Field("rubrics", description="Folder of the rubrics, one YAML file each.")
    extract: RubricExtract = RubricExtract()
    features: list[str] = Field(
        default_factory=list,
        description="Features of your own beside those of the library: ./file.py:Class or module:Class.",
    )
    select: RubricSelection = RubricSelection()
    verify: RubricVerification = RubricVerification()
