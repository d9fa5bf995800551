"""`export`: the data sets that are written."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from curate.config.paths import FilePath
from curate.core.registry import find_name_problem, split_choice
from curate.core.section import Section

EXPORT_FORMAT_NAMES = (
    "trl-preference",
    "tree-preference",
    "trl-unpaired",
    "ranking",
    "best-of-n",
    "annotator-votes",
    "pass-fail-pairs",
    "judge-sft",
    "judge-sft-pointwise",
    "judge-sft-listwise",
    "critique",
    "judge-rl",
    "llama-factory",
    "ms-swift",
    "nemo-rl",
    "axolotl",
    "openai-messages",
    "alpaca",
    "verl",
    "reward-bench",
    "reward-bench-2",
    "argilla",
    "annotated-pairs",
    "rubric",
    "criterion-verdicts",
    "inspect",
    "parquet",
)
"""The formats of this package; a test holds them against the registry `EXPORT_FORMATS`."""

Share = Annotated[float, Field(gt=0.0, lt=1.0)]
SplitName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]


class ExportEntry(Section):
    """One data set to write."""

    path: FilePath = Field(description="Folder of the data set; only an earlier export is ever replaced.")
    format: str | dict[str, Any] = Field(
        "trl-preference",
        description="trl-preference: pairs as TRL reads them. ranking: one ranking per prompt. parquet: the lake's "
        "tables. Others are listed in docs/formats.md with who reads them. ./file.py:Class: a format of your own. "
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
    models: list[str] | None = Field(
        None,
        min_length=1,
        description="Only pairs of responses that are both by one of these models (the policy that is trained, say).",
    )
    pairs: Literal["all", "best-worst"] = Field(
        "all",
        description="all: every decided pair. best-worst: of each prompt, its best response beside its worst.",
    )
    splits: dict[SplitName, Share] | None = Field(
        None,
        min_length=2,
        description="Shares of prompts, as {train: 0.9, test: 0.1}: each prompt goes to one of these splits for good, "
        "and prompts that are nearly the same go to the same one.",
    )
    split_similarity: float = Field(
        0.8,
        gt=0.0,
        le=1.0,
        description="Prompts that share this part of their runs of 3 words are nearly the same (1: the same words).",
    )
    iteration: int | None = Field(None, ge=0, description="Number of the label set; default: the final one.")
    doubtful: Literal["mark", "refuse"] = Field(
        "mark",
        description="Labels that may be worse than chance, since the panel holds two opinions and nobody has said "
        "which is right: mark writes them with a warning on the card and on standard error; refuse writes nothing.",
    )
    licenses: list[str] | None = Field(
        None,
        min_length=1,
        description="Licences that rows may be under; default: those of `licenses` of the project, or any. A row whose "
        "prompt, responses or imported verdicts come from a source of another licence, or of none known, stays out.",
    )
    other_licenses: Literal["refuse", "drop"] = Field(
        "refuse",
        description="Rows of other licences: refuse writes nothing; drop leaves them out, and the card counts them.",
    )
    terms: bool = Field(False, description="Columns `sources` and `licenses`: where each row comes from.")
    jsonl: bool = Field(False, description="Write the rows as JSON lines too.")

    @field_validator("format")
    @classmethod
    def _check_format(cls, value: str | dict[str, Any]) -> str | dict[str, Any]:
        name, _ = split_choice(value)
        if not isinstance(name, str):
            raise ValueError("a format with options needs its name as `kind`")  # noqa: TRY004 (pydantic reads it)
        if problem := find_name_problem(name, EXPORT_FORMAT_NAMES, "export_format", "export format"):
            raise ValueError(problem)
        return value

    @field_validator("splits")
    @classmethod
    def _check_splits(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        if value is not None and not math.isclose(sum(value.values()), 1.0, abs_tol=1e-6):
            raise ValueError(f"the shares of the splits should add up to 1, not to {sum(value.values()):g}")
        return value
