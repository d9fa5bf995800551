"""How often the panel, its labels and reward models are right, beside baselines and with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from curate.core.progress import Track, no_progress

if TYPE_CHECKING:
    from curate.config.project import Config
    from curate.evaluate.verdicts import Subject
    from curate.lake.lake import Lake
    from curate.lake.runs import Summary

__all__ = ["evaluate"]


def evaluate(
    lake: Lake, config: Config, *, subjects: Sequence[Subject] = (), track: Track = no_progress
) -> Summary:
    """Hold annotators, labels and reward model against the gold of `config.evaluate.benchmarks`.

    `subjects` are who is asked about benchmarks with responses of their own: see `curate.pipeline.evaluate`.
    """
    from curate.evaluate.stage import evaluate as run

    return run(lake, config, subjects=subjects, track=track)
