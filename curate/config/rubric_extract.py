"""`rubric.extract`: criteria written by a language model that reads preferences and the reasons for them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from curate.core.section import Section

METHODS = ("contrastive", "traces", "reasons", "revise", "hypotheses")
"""The methods of extraction; a test holds them against their registry."""


class RubricExtract(Section):
    """Writes a rubric from labelled pairs."""

    engine: str | None = Field(None, description="Name of the engine that reads the pairs.")
    name: str = Field("extracted", description="Name of the rubric, and of its file or folder.")
    methods: tuple[str, ...] = Field(
        ("contrastive",),
        min_length=1,
        description=f"Methods in their order, of {', '.join(METHODS)}; each adds to what the ones before it found.",
    )
    scope: Literal["dataset", "prompt"] = Field(
        "dataset", description="dataset: one rubric for all prompts. prompt: one for each prompt."
    )
    labels: str = Field(
        "aggregate",
        description="Whose preferences are explained: aggregate (decided labels of the panel), people (their verdicts "
        "alone), or a file of preference rows, whose columns `reasons`, `reason`, `rationale`, `justification` and "
        "`critique` are read as reasons.",
    )
    reasons: Literal["people", "all"] = Field(
        "people", description="Whose reasons are read beside a pair of the lake; all: those of judges too."
    )
    pairs: int = Field(256, ge=1, description="Pairs that are read at most, drawn at random.")
    seed: int = Field(0, description="Seed of the draw.")
    criteria: int = Field(
        15, ge=1, le=200, description="Criteria that are kept at most, by how often they were found."
    )
    consistency: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="Criteria of a prompt stay if the engine, that reads them and not the labels, is right on more "
        "than this share of the prompt's pairs (contrastive). 0: all stay, and nothing is asked.",
    )
    rounds: int = Field(
        3,
        ge=1,
        description="Attempts at a pair (revise), or times that pairs are looked at again (hypotheses).",
    )
    embedder: str | None = Field(
        None, description="Engine that embeds criteria, to tell which say the same; default: by their words."
    )
    similarity: float = Field(
        0.85, gt=0.0, le=1.0, description="Cosine from which two criteria say the same, with `embedder`."
    )
    longest: int = Field(
        240,
        ge=40,
        le=2000,
        description="Longest criterion, in characters: a bound on the engine's JSON. What fills it was cut off, and is "
        "left out.",
    )
    max_tokens: int = Field(1024, ge=16, description="Longest answer of the engine, in tokens.")
    chunk: int = Field(32, ge=1, description="Requests per committed chunk.")

    @field_validator("methods")
    @classmethod
    def _check_methods(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for name in methods:
            if ":" not in name and name not in METHODS:
                raise ValueError(f"there is no method {name!r}: name some of {', '.join(METHODS)}")
        if len(set(methods)) < len(methods):
            raise ValueError("a method stands there twice")
        return methods
