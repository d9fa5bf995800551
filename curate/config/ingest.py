"""`ingest`: what comes in, and where its rows keep what is needed."""

from __future__ import annotations

import re
from typing import Literal, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from curate.core.registry import find_name_problem
from curate.core.section import Section

_RANKS = frozenset({"rank", "ranks", "ranking", "rankings", "position", "place", "placement"})

StatedKind = Literal["human", "llm", "reward-model", "rule", "reference", "verifier", "implicit", "imported"]
"""The kinds of annotators that a user may state; `imported` stands for an unknown kind."""


class Fields(Section):
    """Where a foreign row keeps what `curate` needs: paths with dots (`meta.score`) into the row.

    A row of responses holds them in one of three ways: as a list (`responses`), as a preferred and another
    one (`chosen`, `rejected`), or as two with a verdict (`a`, `b`, `winner`). A row of judgments has the
    keys `prompt`, `a`, `b`, `annotator`, `annotator_kind`, `winner`, `shown`, `p_a` and `rationale`.
    """

    id: str | None = None
    prompt: str | None = Field(None, description="Text, or a list of messages.")
    system: str | None = Field(None, description="Text of a system message that stands before the prompt.")
    input: str | None = Field(
        None,
        description="Text that belongs to the prompt and follows it after a blank line (Alpaca's `input`).",
    )
    history: str | None = Field(
        None, description="Earlier turns: messages, or pairs of what was asked and answered."
    )
    images: str | None = Field(
        None,
        description="Images of the prompt, where its messages leave room for them, else before its first turn.",
    )
    tools: str | None = Field(
        None, description="JSON Schemas of the tools that models may call: an array, or its JSON text."
    )
    responses: str | None = Field(
        None, description="A list of responses: strings, messages, or objects with the three keys below."
    )
    response_id: str | None = None
    response_text: str | None = None
    response_model: str | None = None
    best: Literal["high", "low"] | None = Field(
        None, description="Which `response_score` wins; default: high. A rank has no default."
    )
    response_score: str | None = Field(
        None, description="A number in each response: the higher one wins, or with `best: low` the lower one."
    )
    chosen: str | None = None
    rejected: str | None = None
    a: str | None = None
    b: str | None = None
    model_a: str | None = None
    model_b: str | None = None
    winner: str | None = None
    winners: dict[str, Literal["a", "b", "tie", "abstain", "failed"]] = Field(
        default_factory=dict, description="What the values of `winner` mean, such as `model_a: a`."
    )
    annotator: str | None = Field(None, description="Who says so; default: the name of the source.")
    annotator_kind: str | None = None
    shown: str | None = None
    p_a: str | None = None
    rationale: str | None = None
    reference: str | None = None
    meta: list[str] = Field(default_factory=list, description="Fields to keep in `meta`.")
    ignore: list[str] = Field(
        default_factory=list,
        description="Columns that do not matter, though rows of one prompt differ in them and their names say context.",
    )

    @field_validator("response_score")
    @classmethod
    def _rank_has_a_direction(cls, path: str | None, info: ValidationInfo) -> str | None:
        words = re.split(r"[^a-z]+", path.rsplit(".", 1)[-1].lower()) if path else []
        if info.data.get("best") is None and _RANKS.intersection(words):
            raise ValueError(
                "by its name this is a rank, and numbers do not say which end of it is the best: "
                "write `best: low` beside it (1 is the best), or `best: high`"
            )
        return path

    @field_validator("annotator_kind")
    @classmethod
    def _kind_is_a_path(cls, path: str | None) -> str | None:
        if path in get_args(StatedKind):
            raise ValueError(
                "under `fields` this is the name of a column: "
                f"write `annotator_kind: {path}` beside `fields`, where it holds for the whole source"
            )
        return path


SHAPE_NAMES = ("native", "trl-preference", "ultrafeedback", "hh-rlhf", "lmsys-arena", "alpaca-eval")
"""The shapes of rows of this package; a test holds them against the registry `SHAPES`."""


class Source(Section):
    """One thing to ingest."""

    source: str = Field(description="File, glob, `datasets` folder, or hf://owner/name[/config][@revision].")
    kind: Literal["responses", "judgments"] = "responses"
    format: str = Field(
        "native",
        description=f"Shape of the rows: {', '.join(SHAPE_NAMES)}; auto (also where neither `format` nor `fields` is given): "
        "recognised by the columns and the first rows, or refused; ./file.yaml (the keys of `fields`, with `kind` and "
        "`columns`) or ./file.py:Class for a shape of your own.",
    )
    fields: Fields | None = Field(None, description="Overrides single fields of the format.")
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
        if self.kind == "judgments" and self.format != "native":
            raise ValueError(
                f"format {self.format!r} is for responses (its verdicts come along): leave out `kind: judgments`"
            )
        return self
