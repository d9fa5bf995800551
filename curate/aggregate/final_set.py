"""The choice of the final label set: the panel's, unless there is evidence that the trained model has improved it."""

from __future__ import annotations

from dataclasses import dataclass

from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.stats.coins import compute_tail

FEWEST_PAIRS = 10
"""With fewer pairs that tested both sets, people's labels do not decide."""
LEVEL = 0.1
_Z = 1.645


@dataclass(frozen=True, slots=True)
class FinalSet:
    """The number of the final label set, and a sentence on why."""

    iteration: int
    reason: str


def choose_final_set(lake: Lake, last: int) -> FinalSet:
    """Choose the final one of the label sets up to `last` (0: the panel alone, 1: with the trained model).

    People decide where at least ten of their verdicts tested both sets, by a sign test on the pairs that one set had
    right and the other wrong. Without them it is whether the model helps to foretell judges who were left out.
    """
    if last == 0:
        return FinalSet(0, "the panel's, since no trained model has judged")
    gained, lost, pairs = lake.rows(read_query("final_labels"))[0]
    if pairs >= FEWEST_PAIRS:
        tally = f"of {pairs:,} pairs that people judged, the trained model puts {gained:,} right and {lost:,} wrong"
        if gained > lost and compute_tail(lost, gained + lost) < LEVEL:
            return FinalSet(1, f"the panel's with the trained model: {tally}")
        return FinalSet(
            0, f"the panel's without the trained model, which has not shown that it adds: {tally}"
        )
    if lake.rows(read_query("doubts")):
        return FinalSet(
            0, "the panel's without the trained model, which has learnt from labels that are in doubt"
        )
    measured = lake.rows(read_query("model_gain"))
    mean, error = measured[0] if measured else (None, None)
    if mean is None or error is None:
        return FinalSet(0, "the panel's without the trained model: nothing shows what it adds")
    figure = f"{mean:+.3f} ± {_Z * error:.3f} nats a vote"
    if mean > _Z * error:
        return FinalSet(
            1,
            f"the panel's with the trained model, which helps to foretell judges who are left out ({figure})",
        )
    return FinalSet(
        0,
        f"the panel's without the trained model, which does not help to foretell judges who are left out ({figure})",
    )
