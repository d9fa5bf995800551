"""EM of the panel model in shards: workers hold the pairs and their posterior, and give back the sums of the M-step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from curate.aggregate.annotators.pairs import PairTable, take_pairs
from curate.aggregate.annotators.panel_em import PanelData, PanelParameters
from curate.aggregate.shards import Shards, find_shards
from curate.aggregate.votes import Float64
from curate.runner.base import Task

Sums = tuple[Float64, float, float, tuple[float, float]]
"""Counts, log-likelihood and largest change of an E-step, and the sums of the length slope."""


@dataclass(frozen=True, slots=True)
class _Step:
    """An E-step of a shard: it stays with the worker that the next one begins from."""

    posterior: Float64
    sums: Sums


class ShardedPanelData(PanelData):
    """The pairs of a panel, held by workers from the first E-step on."""

    def __init__(self, table: PairTable, discount: Float64, shards: Shards) -> None:
        super().__init__(table, discount)
        self._shards = shards
        self._parts = shards.cut(np.diff(table.offsets) + 1)
        self._held: list[Task[PanelData]] = []
        self._steps: list[Task[_Step]] = []
        self._slope_sums = (0.0, 0.0)

    def update_posterior(
        self, posterior: Float64, parameters: PanelParameters, *,
        log_prior: Callable[[slice], Float64] | None = None, discount: Float64 | None = None,
    ) -> tuple[Float64, float, float]:  # fmt: skip
        """Do the E-step in all shards and add up; `posterior` is filled by `read_posterior`.

        With a prior of its own, or another discount, the step is done in this process.
        """
        if log_prior is not None or discount is not None:
            return super().update_posterior(posterior, parameters, log_prior=log_prior, discount=discount)
        submit = self._shards.submit
        if not self._held:
            self._held = [submit(_hold_pairs, self._take_pairs(part)) for part in self._parts]
            self._steps = [submit(_begin_posterior, held) for held in self._held]
        self._steps = [
            submit(_update_shard, held, step, parameters)
            for held, step in zip(self._held, self._steps, strict=True)
        ]
        counts, likelihood, change, slopes = zip(
            *[task.result() for task in [submit(_read_sums, step) for step in self._steps]], strict=True
        )
        self._slope_sums = sum(gradient for gradient, _ in slopes), sum(curvature for _, curvature in slopes)
        return np.sum(counts, axis=0), float(sum(likelihood)), max(change)

    def sum_length_slope(self, posterior: Float64, slope: float) -> tuple[float, float]:
        return self._slope_sums

    def read_posterior(self, posterior: Float64) -> None:
        tasks = [self._shards.submit(_read_posterior, step) for step in self._steps]
        for part, task in zip(self._parts, tasks, strict=True):
            posterior[part] = task.result()

    def _take_pairs(self, part: slice) -> PanelData:
        """Take some neighbouring pairs as data of their own; what is measured on all pairs stays as it is."""
        data = PanelData.__new__(PanelData)
        data.__dict__ |= {name: value for name, value in vars(self).items() if not name.startswith("_")}
        data.table = take_pairs(self.table, np.arange(part.start, part.stop))
        data.length_bin, data.shards = self.length_bin[part], 1
        votes = slice(int(self.table.offsets[part.start]), int(self.table.offsets[part.stop]))
        data.statement = self.statement[votes]
        return data


def make_panel_data(table: PairTable, discount: Float64) -> PanelData:
    """Make the data of a panel, in shards where there are any (`shard_work`)."""
    shards = find_shards()
    if shards is None or not table.n_pairs:
        return PanelData(table, discount)
    return ShardedPanelData(table, discount, shards)


def _hold_pairs(data: PanelData) -> PanelData:
    return data


def _begin_posterior(data: PanelData) -> _Step:
    return _Step(np.zeros((data.table.n_pairs, 3)), (np.zeros(0), 0.0, 0.0, (0.0, 0.0)))


def _update_shard(data: PanelData, before: _Step, parameters: PanelParameters) -> _Step:
    posterior = before.posterior.copy()  # a call may be made again
    counts, likelihood, change = data.update_posterior(posterior, parameters)
    slopes = data.sum_length_slope(posterior, parameters.length_slope) if data.has_length else (0.0, 0.0)
    return _Step(posterior, (counts, likelihood, change, slopes))


def _read_sums(step: _Step) -> Sums:
    return step.sums


def _read_posterior(step: _Step) -> Float64:
    return step.posterior
