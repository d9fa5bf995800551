"""Aggregation in shards: neighbouring prompts or pairs that workers of a runner compute; sums and rows are joined.

The graph of a prompt depends on that prompt alone, so graphs are mapped. EM is mapped and reduced: its M-step needs
sums over pairs alone, and the pairs stay with the workers from step to step. `shard_work` opens the shards for a
block; code inside asks `find_shards`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from curate.aggregate.graph.denoise import denoise_graphs
from curate.aggregate.graph.solution import DenoisedGraphs
from curate.aggregate.graph.tally import PairTally
from curate.aggregate.votes import Float64, Int64
from curate.runner.base import Runner, Task

T = TypeVar("T")
_NONE: Float64 = np.zeros(0)


@dataclass(frozen=True, slots=True)
class Shards:
    """The runner, and the number of parts."""

    runner: Runner
    number: int

    def cut(self, cost: Int64) -> list[slice]:
        """Cut `0 … len(cost)-1` into at most `number` slices of about equal cost."""
        total = np.concatenate(([0], np.cumsum(cost)))
        marks = np.linspace(0, total[-1], self.number + 1)
        bounds = np.unique(np.searchsorted(total, marks)).tolist()
        return [slice(first, last) for first, last in pairwise(bounds)]

    def submit(self, function: Callable[..., T], *arguments: Any) -> Task[T]:
        """Begin a call in a worker; see `Runner.submit`."""
        return self.runner.submit(function, *arguments)


_current: ContextVar[Shards | None] = ContextVar("shards", default=None)


@contextlib.contextmanager
def shard_work(runner: Runner) -> Iterator[None]:
    """Let code in the block find the shards that `runner` asks for."""
    number = runner.options.shards
    if number is None:
        yield
        return
    _ = runner.workers  # they start here
    token = _current.set(Shards(runner, number))
    try:
        yield
    finally:
        _current.reset(token)


def find_shards() -> Shards | None:
    """Return the shards to work in; None: all in this process."""
    return _current.get()


def denoise_in_shards(pairs: PairTally, net: Float64) -> DenoisedGraphs:
    """Denoise the graph of every prompt, in shards where there are any; `net` float64[E] as in `denoise_graphs`."""
    shards = find_shards()
    if shards is None or not len(pairs):
        return denoise_graphs(pairs, net=net)
    parts = shards.cut(np.diff(pairs.offsets) + 1)
    tasks = [shards.submit(_denoise_shard, *_take_prompts(pairs, net, part)) for part in parts]
    return _join_graphs(pairs, net, parts, [task.result() for task in tasks])


def _denoise_shard(pairs: PairTally, net: Float64) -> DenoisedGraphs:
    return replace(denoise_graphs(pairs, net=net, threads=1), tally=_drop_pairs(pairs), net=_NONE)


def _take_prompts(pairs: PairTally, net: Float64, prompts: slice) -> tuple[PairTally, Float64]:
    """Take some prompts' pairs, with responses numbered from 0, without the weights, which denoising does not read."""
    responses = pairs.responses[prompts.start : prompts.stop + 1]
    offsets = pairs.offsets[prompts.start : prompts.stop + 1]
    rows = slice(int(offsets[0]), int(offsets[-1]))
    base = responses[0].astype(np.int32)
    part = PairTally(
        responses=responses - responses[0],
        offsets=offsets - offsets[0],
        a=pairs.a[rows] - base,
        b=pairs.b[rows] - base,
        n=pairs.n[rows],
        weight_a=_NONE,
        weight_b=_NONE,
        weight_tie=_NONE,
    )
    return part, net[rows]


def _drop_pairs(pairs: PairTally) -> PairTally:
    """Return a tally without pairs, which the sender of a shard has itself."""
    empty = np.zeros(0, np.int32)
    return replace(pairs, a=empty, b=empty, n=empty)


def _join_graphs(
    pairs: PairTally, net: Float64, parts: Sequence[slice], graphs: Sequence[DenoisedGraphs]
) -> DenoisedGraphs:
    bases = [int(pairs.responses[part.start]) for part in parts]
    columns = ("direction", "margin", "rank", "dropped_weight", "prompt_margin", "exact")
    joined = {name: np.concatenate([getattr(graph, name) for graph in graphs]) for name in columns}
    order = [(graph.order + base).astype(np.int32) for graph, base in zip(graphs, bases, strict=True)]
    return DenoisedGraphs(tally=pairs, net=net, order=np.concatenate(order), **joined)
