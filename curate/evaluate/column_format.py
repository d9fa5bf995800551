"""The benchmark format `columns`: a data set of pairs, rankings or scores whose columns have other names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

from pydantic import Field, model_validator

from curate.core.section import Section
from curate.evaluate.benchmark import BenchmarkItem
from curate.evaluate.benchmark_formats import BenchmarkFormat, Row
from curate.evaluate.published_formats import Native, RewardBench2

PASSED_ON = ("images", "system", "tools")


class ColumnFormatOptions(Section):
    """Names of the columns that are read; all others are left alone."""

    prompt: str = Field("prompt", description="Column of the prompt: text or messages.")
    chosen: str = Field(
        "chosen", description="Column of the better response: text, messages or a list of texts."
    )
    rejected: str = Field("rejected", description="Column of the worse response, likewise.")
    responses: str | None = Field(None, description="Column of a list of responses, in place of a pair.")
    scores: str | None = Field(
        None, description="Column of a score for each response; the highest is the best."
    )
    rankings: str | None = Field(None, description="Column of a rank for each response; 1 is the best.")
    subset: str | None = Field(
        None, description="Column that names the part of the benchmark a row belongs to."
    )
    id: str | None = Field(None, description="Column of the row's own name.")
    prompt_id: str | None = Field(None, description="Column that rows about one prompt share.")
    hub: str = Field("", description="Data set on the hub (owner/name) that has these columns.")
    split: str = Field("test", description="Split of that data set.")

    @model_validator(mode="after")
    def _check_responses(self) -> Self:
        if (self.scores or self.rankings) and not self.responses:
            raise ValueError("scores and rankings need the column of the `responses` that they are about")
        return self


class ColumnFormat(BenchmarkFormat):
    """Gives the columns the names that `native` reads; lists of texts are read as `reward-bench-2` reads them."""

    Options = ColumnFormatOptions

    def __init__(self, name: str, options: Any = None) -> None:
        super().__init__(name, options)
        self.hub, self.split = self.options.hub, self.options.split
        columns = self.options.model_dump(exclude={"hub", "split"}, exclude_none=True)
        self._columns: dict[str, str] = columns | {name: name for name in PASSED_ON}

    def read_row(self, row: Row, key: str) -> BenchmarkItem:
        renamed = {name: row[column] for name, column in self._columns.items() if column in row}
        if is_list_of_texts(renamed.get("chosen")) or is_list_of_texts(renamed.get("rejected")):
            lists = {name: as_list(renamed.get(name)) for name in ("chosen", "rejected")}
            subset = renamed.get("subset") or "all"
            item = RewardBench2(self.name).read_row({**renamed, **lists, "subset": subset}, key)
            return replace(item, prompt_id=str(renamed.get("prompt_id") or ""))
        return Native(self.name).read_row(renamed, key)


def is_list_of_texts(value: object) -> bool:
    """Tell whether a value is a list of texts."""
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def as_list(value: object) -> object:
    """Return a text as a list of one."""
    return [value] if isinstance(value, str) else value
