"""Credits by name and prompt, and weighted means of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from curate.stats.accuracy import MeanEstimate, combine_means


class Tally:
    """Adds up credits under names; credits of one cluster (a prompt) are resampled together.

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
        """Add a credit.

        Args:
            name: Name under which it counts.
            cluster: Prompt that it is about.
            credit: Value, usually 0 … 1.
        """
        number = self._clusters.setdefault(cluster, len(self._clusters))
        cells = self._cells.setdefault(name, {})
        total, size = cells.get(number, (0.0, 0))
        cells[number] = (total + credit, size + 1)

    def __contains__(self, name: str) -> bool:
        return name in self._cells

    def list_suffixes(self, prefix: str) -> list[str]:
        """List the names that begin with a prefix, without it, in order of appearance."""
        return [name.removeprefix(prefix) for name in self._cells if name.startswith(prefix)]

    def estimate_mean(self, weights: Mapping[str, float]) -> MeanEstimate:
        """Estimate Σ weight · mean of the credits of that name, with an interval over the clusters."""
        used = sorted({cluster for name in weights for cluster in self._cells[name]})
        row = {cluster: number for number, cluster in enumerate(used)}
        sums, sizes = np.zeros((2, len(used), len(weights)))
        for column, name in enumerate(weights):
            for cluster, (total, size) in self._cells[name].items():
                sums[row[cluster], column], sizes[row[cluster], column] = total, size
        return combine_means(sums, sizes, np.array(list(weights.values())), resamples=self._resamples)
