"""How good a trained model is on what it has not seen, beside length and chance."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curate.config.evaluate import HELD_OUT
from curate.core.errors import CurateError
from curate.data.preference_rows import PreferencePairs
from curate.records import Evaluation, arrow_schema
from curate.stats.accuracy import LENGTH, RANDOM, MeanEstimate, accuracy_by_length

AccuracyTable = dict[str, dict[str, MeanEstimate]]
"""Subject → subset → estimate."""

DEFAULT_SUBJECT = "reward-model"  # of the runs table; and what the model is called that joins no panel


def require_pairs(pairs: PreferencePairs, data: Path) -> None:
    """Raise a CurateError where there is nothing to train on."""
    if len(pairs) == 0:
        why = ", ".join(f"{rows} × {reason}" for reason, rows in pairs.dropped.items()) or "it has no rows"
        raise CurateError(f"There is no usable preference pair in {data}: {why}.")


def measure_accuracy(
    subject: str, pairs: PreferencePairs, scores: NDArray[np.float64], *, resamples: int
) -> AccuracyTable:
    """Accuracy of `scores` float64[R] on the pairs, of length and of chance."""
    subjects = {
        subject: scores,
        LENGTH: pairs.lengths.astype(np.float64),
        RANDOM: np.zeros(len(pairs.responses)),
    }
    return {name: accuracy_by_length(pairs, each, resamples=resamples) for name, each in subjects.items()}


def build_metrics(pairs: PreferencePairs, loss: float, accuracy: AccuracyTable) -> dict[str, Any]:
    """What a saved model says of itself."""
    return {
        "pairs": len(pairs),
        "prompts": len(pairs.prompt_ids),
        "held_out_loss": loss,
        "held_out_accuracy": {
            DEFAULT_SUBJECT if subject not in (LENGTH, RANDOM) else subject: {
                name: asdict(each) for name, each in subsets.items()
            }
            for subject, subsets in accuracy.items()
        },
    }


def build_evaluations(accuracy: AccuracyTable, run_id: str) -> pa.Table:
    rows = [
        Evaluation(
            subject=subject,
            benchmark=HELD_OUT,
            subset=subset,
            metric="accuracy",
            value=each.value,
            low=each.low,
            high=each.high,
            n=each.n,
            run_id=run_id,
        )
        for subject, subsets in accuracy.items()
        for subset, each in subsets.items()
    ]
    return pa.Table.from_pylist([row.model_dump() for row in rows], schema=arrow_schema(Evaluation))


def describe_accuracy(metrics: dict[str, Any]) -> str:
    held_out = metrics["held_out_accuracy"]
    model, length = held_out[DEFAULT_SUBJECT]["all"], held_out[LENGTH]["all"]
    interval = f" [{model['low']:.3f}, {model['high']:.3f}]" if model["low"] is not None else ""
    return f"held-out accuracy {model['value']:.3f}{interval}, length {length['value']:.3f}"
