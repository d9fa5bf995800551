"""Credits by name and prompt, and the means that scores are made of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from curate.stats.accuracy import MeanEstimate, combined_mean


class Tally:
    """Adds up credits under names; rows with one cluster (a prompt) are drawn together.

    >>> tally = Tally(resamples=0)
    >>> tally.add("accuracy", "prompt 1", 1.0)
    >>> tally.add("accuracy", "prompt 2", 0.5)
    >>> tally.estimate_mean({"accuracy": 1.0}).value
    0.75
    """

    def __init__(self, *, resamples: int) -> None:
        self._resamples = resamples
        self._clusters: dict[str, int] = {}
        self._cells: dict[str, dict[int, tuple[float, int]]] = {}

    def add(self, name: str, cluster: str, credit: float) -> None:
        place = self._clusters.setdefault(cluster, len(self._clusters))
        cells = self._cells.setdefault(name, {})
        total, size = cells.get(place, (0.0, 0))
        cells[place] = (total + credit, size + 1)

    def __contains__(self, name: str) -> bool:
        return name in self._cells

    def list_suffixes(self, start: str) -> list[str]:
        """What stands after `start` in the names that begin with it, in order of appearance."""
        return [name.removeprefix(start) for name in self._cells if name.startswith(start)]

    def estimate_mean(self, weights: Mapping[str, float]) -> MeanEstimate:
        """Σ weight · mean of the credits of that name, with an interval over the clusters."""
        used = sorted({place for name in weights for place in self._cells[name]})
        row = {place: number for number, place in enumerate(used)}
        sums, sizes = np.zeros((2, len(used), len(weights)))
        for column, name in enumerate(weights):
            for place, (total, size) in self._cells[name].items():
                sums[row[place], column], sizes[row[place], column] = total, size
        return combined_mean(sums, sizes, np.array(list(weights.values())), resamples=self._resamples)
