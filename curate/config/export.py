"""`export`: the data sets that are written."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from curate.core.section import Section


class ExportEntry(Section):
    """One data set to write."""

    path: str = Field(description="Folder of the data set; only an earlier export is ever replaced.")
    format: Literal["trl-preference", "ranking", "judge-sft", "parquet"] = Field(
        "trl-preference",
        description="Pairs as TRL reads them, one ranking per prompt, judges' verdicts with their reasons for SFT, or "
        "the lake's tables as they are.",
    )
    license: str | None = Field(None, description="SPDX name for the dataset card.")
    min_confidence: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="Least confidence of a pair, or mean over the pairs of a ranking. People's verdicts stay.",
    )
    routed: bool = Field(False, description="Take also what still waits for people's verdict.")
    split: str | None = Field(None, description="Only prompts of this split; default: all.")
    iteration: int | None = Field(None, ge=0, description="Of the loop; default: the last.")
    jsonl: bool = Field(False, description="Write the rows as JSON lines too.")
