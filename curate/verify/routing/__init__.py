"""Routing strategies: which pairs to ask people about. One class a file, named in `verify.plan.mix`.

A strategy of one's own is a class derived from `RoutingStrategy`, named as `./mine.py:Mine`; see
`examples/own_parts/routing.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.config.validation import validate_options
from curate.config.verify import Mix, StrategyShare
from curate.core.errors import CurateError
from curate.core.registry import Registry
from curate.verify.routing.base import RoutingStrategy

if TYPE_CHECKING:
    from curate.verify.routing.pairs import Int64, Pairs

ROUTING: Registry[RoutingStrategy] = Registry(
    "routing",
    RoutingStrategy,  # type: ignore[type-abstract]
    noun="routing strategy",
    builtin={
        "random": "curate.verify.routing.random:Random",
        "expected-value": "curate.verify.routing.expected_value:ExpectedValue",
        "uncertainty": "curate.verify.routing.uncertainty:Uncertainty",
        "dropped-arcs": "curate.verify.routing.dropped_arcs:DroppedArcs",
        "disagreement": "curate.verify.routing.disagreement:Disagreement",
        "threshold": "curate.verify.routing.threshold:Threshold",
        "errors": "curate.verify.routing.errors:Errors",
        "d-optimal": "curate.verify.routing.d_optimal:DOptimal",
    },
)


@dataclass(frozen=True, slots=True)
class WeightedStrategy:
    """A strategy of a mix with its share of the questions; `name` is stored with each question."""

    name: str
    strategy: RoutingStrategy
    share: float

    def choose_pairs(self, pairs: Pairs, n: int) -> Int64:
        """Let the strategy choose, and refuse a choice that breaks the contract of `RoutingStrategy`."""
        chosen = np.asarray(self.strategy.choose_pairs(pairs, n), np.int64)
        inside = (chosen >= 0) & (chosen < len(pairs))
        if len(chosen) > n or len(np.unique(chosen)) < len(chosen) or not inside.all():
            raise CurateError(
                f"The routing strategy {self.name!r} must choose at most {n} different rows of {len(pairs)} pairs."
            )
        if not pairs.is_open[chosen].all():
            raise CurateError(
                f"The routing strategy {self.name!r} chose a pair that is not open: check `is_open`."
            )
        return chosen


def open_strategy(
    name: str, options: Mapping[str, Any] | None = None, *, where: str = "strategy", folder: Path = Path()
) -> RoutingStrategy:
    """Open a strategy by its name.

    Args:
        name: A name of `ROUTING`, an entry point, `module:Class` or `./file.py:Class`.
        options: Values of the strategy's `Options`.
        where: Key of curate.yaml that names the strategy, for error messages.
        folder: Folder of curate.yaml, where relative files start.

    Raises:
        CurateError: There is no such strategy, or it has no such option.
    """
    part = ROUTING.find(name, where=where, folder=folder).type
    return part(validate_options(part.Options, options or {}, where=where))


def open_mix(mix: Mix, *, folder: Path, where: str = "verify.plan.mix") -> list[WeightedStrategy]:
    """Open the strategies of a mix in their order; those with a share of 0 are opened too, so that mistakes show.

    Args:
        mix: Name → share, or name → share and options, as in curate.yaml.
        folder: Folder of curate.yaml, where relative files start.
        where: Key of curate.yaml that holds the mix, for error messages.

    Raises:
        CurateError: There is no such strategy, or it has no such option.
    """
    strategies = []
    for name, entry in mix.items():
        given = entry if isinstance(entry, StrategyShare) else StrategyShare(share=entry)
        strategy = open_strategy(name, given.options, where=f"{where}.{name}", folder=folder)
        strategies.append(WeightedStrategy(name, strategy, given.share))
    return strategies
