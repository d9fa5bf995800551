"""`evaluate`: benchmarks, and who is measured by them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from curate.core.section import Section

HELD_OUT = "held-out labels"  # the benchmark under which `train` files its out-of-fold accuracy


GUARD = "guard"  # the benchmark under which the judges' false-positive rates are filed


BenchmarkFormat = Literal[
    "lake", "auto", "native", "reward-bench", "reward-bench-2", "rm-bench", "judge-bench", "hh-rlhf"
]


class Benchmark(Section):
    """Gold about the lake's own responses (format `lake`), or a benchmark with responses of its own."""

    name: str = Field(min_length=1)
    source: str = Field(
        description="lake: JSONL of {prompt, ranking: [[best ids], …]} or {prompt, a, b, winner}, by keys of the data. "
        "Else a file, a folder, hf://owner/name[:split], the name of a format for the set on the hub, or guard."
    )
    format: BenchmarkFormat = Field(
        "lake",
        description="lake: it judges the panel and its labels; any other: the columns of a benchmark for "
        "`models` and `judges` (auto: by the first row).",
    )

    @model_validator(mode="after")
    def _not_reserved(self) -> Self:
        if self.name == HELD_OUT or (self.name == GUARD) != (self.source == GUARD):
            raise ValueError(
                "this name is kept for what `curate train` and `evaluate --judges guard` measure"
            )
        return self


class EvaluateSection(Section):
    """Accuracy against gold, with intervals, beside baselines."""

    benchmarks: list[Benchmark] = Field(default_factory=list)
    models: list[str] = Field(
        default_factory=list,
        description="Reward models for the benchmarks that are not about the lake: folders or hub ids. Default: "
        "the one that `train` saved.",
    )
    judges: list[str] = Field(
        default_factory=list, description="Judges of the panel that are asked about these benchmarks too."
    )
    robustness: bool = Field(False, description="Ask about padded, dressed-up and reversed pairs as well.")
    bootstrap: int = Field(1000, ge=0, description="Resamples of the prompts for the intervals.")

    @field_validator("benchmarks")
    @classmethod
    def _distinct(cls, benchmarks: list[Benchmark]) -> list[Benchmark]:
        names = [benchmark.name for benchmark in benchmarks]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two benchmarks are called {name!r}")
        return benchmarks
