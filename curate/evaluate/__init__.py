"""How often the panel, its labels and the reward model are right, beside baselines and with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from curate.progress import Track, silent

if TYPE_CHECKING:
    from curate.config import Config
    from curate.evaluate.scores import Score
    from curate.lake import Lake
    from curate.runs import Summary

__all__ = ["evaluate", "evaluate_model", "score_table"]


def evaluate(lake: Lake, config: Config, *, track: Track = silent) -> Summary:
    """Hold annotators, labels and reward model against the gold of `config.evaluate.benchmarks`."""
    from curate.evaluate.stage import evaluate as run

    return run(lake, config, track=track)


def evaluate_model(
    folder: Path, source: Path, *, resamples: int = 1000, cache: Path | None = None, track: Track = silent
) -> list[Score]:
    """Accuracy of a saved reward model on a file or folder of preference pairs, beside length and random."""
    from curate.evaluate.model import evaluate_model as run

    return run(folder, source, resamples=resamples, cache=cache, track=track)


def score_table(scores: list[Score]) -> list[tuple[str, str, str, str]]:
    """Lines for a terminal: subject, accuracy, best-of-N accuracy, and what share of the gold pairs it covers."""
    from curate.evaluate.scores import score_table as run

    return run(scores)
