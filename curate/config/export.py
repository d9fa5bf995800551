"""`export`: the data sets that are written."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from curate.core.registry import find_name_problem
from curate.core.section import Section

EXPORT_FORMAT_NAMES = ("trl-preference", "ranking", "judge-sft", "parquet")
"""The formats of this package; a test holds them against the registry `EXPORT_FORMATS`."""


class ExportEntry(Section):
    """One data set to write."""

    path: str = Field(description="Folder of the data set; only an earlier export is ever replaced.")
    format: str | dict[str, Any] = Field(
        "trl-preference",
        description="trl-preference: pairs as TRL reads them. ranking: one ranking per prompt. judge-sft: judges' "
        "verdicts with their reasons, for SFT. parquet: the lake's tables. ./file.py:Class: a format of your own. "
        "With options: {kind: name, option: value}.",
    )
    license: str | None = Field(None, description="SPDX name for the dataset card.")
    language: list[Annotated[str, Field(pattern=r"^([a-z]{2,3}|code|multilingual)$")]] = Field(
        default_factory=list, description="ISO 639 codes of the languages, for the dataset card."
    )
    creator: str | None = Field(None, description="Who made the data set, for croissant.json.")
    min_confidence: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="Least confidence of a pair, or mean over the pairs of a ranking. People's verdicts stay.",
    )
    routed: bool = Field(False, description="Take also what still waits for people's verdict.")
    split: str | None = Field(None, description="Only prompts of this split; default: all.")
    iteration: int | None = Field(None, ge=0, description="Of the loop; default: the last.")
    doubtful: Literal["mark", "refuse"] = Field(
        "mark",
        description="Labels that may be worse than chance, since the panel holds two opinions and nobody has said "
        "which is right: mark writes them with a warning on the card and on standard error; refuse writes nothing.",
    )
    jsonl: bool = Field(False, description="Write the rows as JSON lines too.")

    @field_validator("format")
    @classmethod
    def _check_format(cls, value: str | dict[str, Any]) -> str | dict[str, Any]:
        name = value if isinstance(value, str) else value.get("kind")
        if not isinstance(name, str):
            raise ValueError("a format with options needs its name as `kind`")  # noqa: TRY004 (pydantic reads it)
        if problem := find_name_problem(name, EXPORT_FORMAT_NAMES, "export_format", "export format"):
            raise ValueError(problem)
        return value
