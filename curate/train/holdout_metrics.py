"""Accuracy of a trained model on held-out pairs, beside the baselines length and chance."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curate.config.evaluate import HELD_OUT
from curate.core.errors import CurateError
from curate.data.preference_pairs import PreferencePairs
from curate.records import Evaluation, arrow_schema
from curate.stats.accuracy import LENGTH, RANDOM, MeanEstimate, accuracy_by_length

AccuracyTable = dict[str, dict[str, MeanEstimate]]
"""Subject → subset → estimate."""

DEFAULT_SUBJECT = (
    "reward-model"  # the model's name in runs and metrics, where it joins no panel under another one
)


def require_pairs(pairs: PreferencePairs, data: Path) -> None:
    """Raise CurateError if there is no pair to train on."""
    if len(pairs) == 0:
        reasons = (
            ", ".join(f"{rows} × {reason}" for reason, rows in pairs.dropped.items()) or "it has no rows"
        )
        raise CurateError(f"There is no usable preference pair in {data}: {reasons}.")


def measure_accuracy(
    subject: str, pairs: PreferencePairs, scores: NDArray[np.float64], *, resamples: int
) -> AccuracyTable:
    """Measure how often scores put the chosen response first.

    Args:
        subject: Name of the model in the result.
        pairs: Pairs of R responses.
        scores: float64[R], scores by a model that was not trained on the response's prompt.
        resamples: Bootstrap resamples of the prompts for the intervals.

    Returns:
        Accuracy by subset for the model, for length and for chance.
    """
    subjects = {
        subject: scores,
        LENGTH: pairs.lengths.astype(np.float64),
        RANDOM: np.zeros(len(pairs.responses)),
    }
    return {name: accuracy_by_length(pairs, values, resamples=resamples) for name, values in subjects.items()}


def build_metrics(pairs: PreferencePairs, loss: float, accuracy: AccuracyTable) -> dict[str, Any]:
    """Build the metrics that are saved with the model."""
    return {
        "pairs": len(pairs),
        "prompts": len(pairs.prompt_ids),
        "held_out_loss": loss,
        "held_out_accuracy": {
            DEFAULT_SUBJECT if subject not in (LENGTH, RANDOM) else subject: {
                name: asdict(estimate) for name, estimate in subsets.items()
            }
            for subject, subsets in accuracy.items()
        },
    }


def build_evaluations(accuracy: AccuracyTable, run_id: str) -> pa.Table:
    """Build the rows of the table `evaluations`."""
    rows = [
        Evaluation(
            subject=subject,
            benchmark=HELD_OUT,
            subset=subset,
            metric="accuracy",
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            n=estimate.n,
            run_id=run_id,
        )
        for subject, subsets in accuracy.items()
        for subset, estimate in subsets.items()
    ]
    return pa.Table.from_pylist([row.model_dump() for row in rows], schema=arrow_schema(Evaluation))


def describe_accuracy(metrics: dict[str, Any]) -> str:
    """Return the note of a run: held-out accuracy of the model, with its interval, and of length."""
    held_out = metrics["held_out_accuracy"]
    model, length = held_out[DEFAULT_SUBJECT]["all"], held_out[LENGTH]["all"]
    interval = f" [{model['low']:.3f}, {model['high']:.3f}]" if model["low"] is not None else ""
    return f"held-out accuracy {model['value']:.3f}{interval}, length {length['value']:.3f}"
