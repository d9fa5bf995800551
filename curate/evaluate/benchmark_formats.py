"""Benchmark formats: how a row of a benchmark becomes an item. One class a format, named in curate.yaml.

A format of one's own is a class derived from `BenchmarkFormat` (`./mine.py:Mine`) or, where only the names of the
columns differ, a YAML file (`./mine.yaml`, see `column_format.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from curate.config.validation import validate_options
from curate.core.registry import Registry, split_choice
from curate.core.section import Section
from curate.evaluate.benchmark import BenchmarkItem

Row = Mapping[str, Any]


class BenchmarkFormat(ABC):
    """Reads the rows of benchmarks that share their columns.

    Attributes:
        Options: What curate.yaml can set, as `format: {kind: NAME, OPTION: VALUE}`.
        hub: Data set on the hub, owner/name, that the format's name stands for; "" where it stands for none.
        split: Split of that data set.
    """

    Options: ClassVar[type[Section]] = Section
    hub: str = ""
    split: str = ""

    def __init__(self, name: str, options: Any = None) -> None:
        self.name = name
        self.options: Any = self.Options() if options is None else options

    @classmethod
    def recognizes(cls, row: Row) -> bool:
        """Tell from its columns whether a row has this format, for `format: auto`."""
        return False

    @abstractmethod
    def read_row(self, row: Row, key: str) -> BenchmarkItem:
        """Read a row.

        Args:
            row: Column → value.
            key: Name of the row, for rows without one of their own.

        Raises:
            curate.data.preference_rows.Unusable: The row cannot be used; the message says why, and is counted.
        """


BENCHMARK_FORMATS: Registry[BenchmarkFormat] = Registry(
    "benchmark_format",
    BenchmarkFormat,  # type: ignore[type-abstract]
    builtin={
        "columns": "curate.evaluate.column_format:ColumnFormat",
        "native": "curate.evaluate.published_formats:Native",
        "reward-bench": "curate.evaluate.published_formats:RewardBench",
        "reward-bench-2": "curate.evaluate.published_formats:RewardBench2",
        "rm-bench": "curate.evaluate.published_formats:RmBench",
        "judge-bench": "curate.evaluate.published_formats:JudgeBench",
        "hh-rlhf": "curate.evaluate.published_formats:HhRlhf",
        "vl-rewardbench": "curate.evaluate.vision_formats:VlRewardBench",
        "mmrb2": "curate.evaluate.vision_formats:Mmrb2",
        "mr2bench": "curate.evaluate.vision_formats:Mr2Bench",
        "imagereward": "curate.evaluate.vision_formats:ImageReward",
        "genai-bench": "curate.evaluate.vision_formats:GenAiBench",
        "videogen-rewardbench": "curate.evaluate.vision_formats:VideoGenRewardBench",
    },
    data_class="curate.evaluate.column_format:ColumnFormat",
)
DETECTED = (
    *("judge-bench", "rm-bench", "reward-bench-2", "reward-bench", "hh-rlhf", "vl-rewardbench", "mmrb2"),
    *("mr2bench", "imagereward", "genai-bench", "videogen-rewardbench"),
)
"""The formats that `auto` looks for, in this order; a row that none of them recognizes is `native`."""


def open_format(
    choice: str | Mapping[str, Any], *, folder: Path = Path(), where: str = "evaluate.benchmarks.format"
) -> BenchmarkFormat:
    """Open the format that curate.yaml or the command line names.

    Args:
        choice: A name, or {kind: name, option: value}.
        folder: Folder where relative files start.
        where: Key of curate.yaml that holds the choice, for error messages.

    Raises:
        CurateError: There is no such format, or it has no such option.
    """
    name, given = split_choice(choice)
    part = BENCHMARK_FORMATS.find(name, where=where, folder=folder)
    return part.type(str(name), validate_options(part.type.Options, {**part.options, **given}, where=where))


def detect_format(row: Row) -> BenchmarkFormat:
    """Return the format of a file from the columns of its first row."""
    for name in DETECTED:
        if BENCHMARK_FORMATS.find(name, where="format", folder=Path()).type.recognizes(row):
            return open_format(name)
    return open_format("native")


def is_own_format(source: str) -> bool:
    """Tell whether the source of a benchmark names a format of the user's own in place of a file."""
    return source.endswith((".yaml", ".yml")) or ".py:" in source


def list_published() -> dict[str, BenchmarkFormat]:
    """List our formats whose names stand for a data set on the hub."""
    formats = {name: open_format(name) for name in BENCHMARK_FORMATS.names}
    return {name: form for name, form in formats.items() if form.hub}
