"""The section `evaluate` of `curate.yaml`: benchmarks, and the models and judges that are measured by them."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from curate.config.response_order import ORDER_OPTION, ORDER_PATTERN
from curate.core.registry import find_name_problem, split_choice
from curate.core.section import Section

HELD_OUT = "held-out labels"  # the benchmark under which `train` files its out-of-fold accuracy
GUARD = "guard"  # the benchmark under which the judges' false-positive rates are filed


ATTACK = "style attack"  # the benchmark under which the judges' flip rates are filed
GuardSet = Literal["en", "de", "fr", "es", "zh", "images"]


BENCHMARK_FORMAT_NAMES = (
    "columns",
    "native",
    "reward-bench",
    "reward-bench-2",
    "rm-bench",
    "judge-bench",
    "hh-rlhf",
    "vl-rewardbench",
    "mmrb2",
    "mr2bench",
    "imagereward",
    "genai-bench",
    "videogen-rewardbench",
)
"""The formats of benchmarks with responses of their own; a test holds them against the registry of that name."""


class Benchmark(Section):
    """Gold about the lake's own responses (format `lake`), or a benchmark with responses of its own."""

    name: str = Field(min_length=1)
    source: str = Field(
        description="lake: JSONL of {prompt, ranking: [[best ids], …]} or {prompt, a, b, winner}, by keys of the data. "
        "Else a file, a folder, hf://owner/name[:split], the name of a format for the set on the hub, or guard."
    )
    format: str | dict[str, Any] = Field(
        "lake",
        description="lake: gold for the panel and its labels. Any other: the format of a benchmark for `models` and "
        f"`judges`: {', '.join(BENCHMARK_FORMAT_NAMES)}, auto (by the first row), ./file.yaml or ./file.py:Class for "
        "one of your own, or {kind: name, option: value}.",
    )

    @field_validator("format")
    @classmethod
    def _check_format(cls, value: str | dict[str, Any]) -> str | dict[str, Any]:
        name, _ = split_choice(value)
        if not isinstance(name, str):
            raise ValueError("a format with options needs its name as `kind`")  # noqa: TRY004 (pydantic reads it)
        known = (
            BENCHMARK_FORMAT_NAMES if isinstance(value, dict) else ("lake", "auto", *BENCHMARK_FORMAT_NAMES)
        )
        if problem := find_name_problem(name, known, "benchmark_format", "benchmark format"):
            raise ValueError(problem)
        return value

    @model_validator(mode="after")
    def _refuse_reserved(self) -> Self:
        if self.name in (HELD_OUT, ATTACK) or (self.name == GUARD) != (self.source == GUARD):
            raise ValueError("this name is kept for what `curate train` and `evaluate --judges` measure")
        return self


class AttackSection(Section):
    """An attacker that edits the style of wrong answers until a judge prefers them."""

    budget: int = Field(
        10, ge=1, le=200, description="Edited answers that the attacker may show for each pair."
    )
    exploration: float = Field(
        0.3, ge=0.0, description="How much it prefers edits that it has seldom tried (UCB's factor)."
    )


class EvaluateSection(Section):
    """Accuracy against gold, with intervals, beside baselines."""

    benchmarks: list[Benchmark] = Field(default_factory=list)
    models: list[str] = Field(
        default_factory=list,
        description="Reward models for the benchmarks that are not about the lake: folders or hub ids. Default: "
        "the one that `train` saved.",
    )
    judges: list[str] = Field(
        default_factory=list, description="Judges of the panel that are measured on these benchmarks too."
    )
    order: str | None = Field(None, pattern=f"^({ORDER_PATTERN})$", description=ORDER_OPTION)
    robustness: bool = Field(
        False, description="Also ask about pairs made harder: padded, in markdown, in reversed order."
    )
    guard: list[GuardSet] = Field(
        ["en"],
        min_length=1,
        description="Adversarial sets that `evaluate --judges guard` asks judges about: five languages, and images for "
        "judges that see them.",
    )
    attack: AttackSection = Field(
        default_factory=lambda: AttackSection(),
        description="The adaptive style attack of `evaluate --judges attack`.",
    )
    bootstrap: int = Field(1000, ge=0, description="Resamples of the prompts for the intervals.")

    @field_validator("benchmarks")
    @classmethod
    def _distinct(cls, benchmarks: list[Benchmark]) -> list[Benchmark]:
        names = [benchmark.name for benchmark in benchmarks]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two benchmarks are called {name!r}")
        return benchmarks
