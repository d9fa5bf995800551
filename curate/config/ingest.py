"""`ingest`: what comes in, and where its rows keep what is needed."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from curate.config.mapping import Fields, StatedKind
from curate.config.paths import FilePath
from curate.core.registry import find_name_problem
from curate.core.section import Section

__all__ = ["SHAPE_NAMES", "Fields", "Join", "Source", "StatedKind"]

SHAPE_NAMES = (
    "native",
    "trl-preference",
    "ultrafeedback",
    "hh-rlhf",
    "lmsys-arena",
    "alpaca-eval",
    "feedback-log",
    "chat-log",
    "openai-log",
    "genai-spans",
    "langfuse",
    "agent-traces",
    "inspect-log",
    "promptfoo",
    "lm-eval",
    "oasst-trees",
    "oasst-messages",
    "alpaca",
    "curate-pairs",
    "curate-ranking",
    "curate-votes",
    "distilabel",
    "faireval",
    "fastchat-pairs",
    "helpsteer",
    "helpsteer2-preference",
    "helpsteer3",
    "imagereward",
    "judgebench",
    "judgebench-outputs",
    "kto",
    "llamafactory-dpo",
    "llamafactory-kto",
    "llamafactory-sharegpt-dpo",
    "llamafactory-sharegpt-kto",
    "ms-swift",
    "mturk",
    "nectar",
    "nemo-rl-ranked",
    "openai-preference",
    "orca-dpo",
    "pandalm",
    "pku-saferlhf",
    "prometheus-feedback",
    "rewardbench",
    "rewardbench2",
    "rlhflow",
    "rm-bench",
    "shp",
    "stack-exchange-paired",
    "toloka",
    "ultrafeedback-argilla",
    "ultrafeedback-binarized",
    "vertex-preference",
    "webgpt",
)
"""The shapes of rows of this package; a test holds them against the registry `SHAPES`."""


class Join(Section):
    """Another file, whose row with the same key becomes an object in the row."""

    source: FilePath = Field(description="The file; it is held in memory.")
    by: str = Field(description="Path of the key in the rows of the source.")
    key: str | None = Field(None, description="Path of the key in the file's rows; default: `by`.")
    name: str = Field(description="Name under which paths of `fields` find the file's row.")


class Source(Section):
    """One thing to ingest."""

    source: FilePath = Field(
        description="File, glob, `datasets` folder, or hf://owner/name[/config][@revision]."
    )
    kind: Literal["responses", "judgments", "ratings", "rankings"] = Field(
        "responses",
        description="What a row is: a prompt with responses, or what somebody said of responses: a verdict on two, a "
        "rating of one, or an order of several.",
    )
    format: str = Field(
        "native",
        description=f"Shape of the rows: {', '.join(SHAPE_NAMES)}; auto (the default beside no `fields`): recognised "
        "by the columns and the first rows, or refused; ./file.yaml (the keys of `fields`, with `kind` and "
        "`columns`) or ./file.py:Class for a shape of your own.",
    )
    fields: Fields | None = Field(None, description="Overrides single fields of the format.")
    join: list[Join] = Field(
        default_factory=list, description="Files whose rows are joined to the source's rows by a key."
    )
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="Character between cells of CSV; default: found out."
    )
    encoding: str | None = Field(
        None, description="Encoding of CSV, such as cp1252; default: UTF-8, or UTF-16 by its mark."
    )
    name: str | None = Field(None, description="Name in the `source` column; default: the file's name.")
    split: str | None = Field(
        None, description="Split of a data set; for a file, the value of the `split` column."
    )
    annotator: str | None = Field(
        None,
        description="Who made the verdicts of a foreign data set that does not say so; default: its name.",
    )
    annotator_kind: StatedKind | None = Field(
        None,
        description="What they are, where no row says so; `human` makes the verdicts people's. Default: by the format.",
    )
    license: str | None = Field(
        None,
        description="Licence of the data, by its SPDX identifier or its name on the hub (`cc-by-4.0`).",
    )
    origin: str | None = Field(
        None, description="Where the data comes from: an address, a contract, a person."
    )
    chunk: int = Field(32_768, ge=1, description="Rows per committed chunk.")
    max_line_mib: int = Field(64, ge=1, description="A longer line is rejected without being read.")

    @field_validator("format")
    @classmethod
    def _check_format(cls, name: str) -> str:
        if problem := find_name_problem(name, ("auto", *SHAPE_NAMES), "shape", "format"):
            raise ValueError(problem)
        return name

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind != "responses" and self.format != "native":
            raise ValueError(
                f"format {self.format!r} is for responses (its verdicts come along): leave out `kind: {self.kind}`"
            )
        if self.kind in ("ratings", "rankings") and self.fields is not None:
            raise ValueError(f"`fields` do not map {self.kind}: name the columns as in docs/formats.md")
        return self
