"""Which pairs to ask people about: one strategy a file, each `choose(pairs, n) -> indexes, best first`.

A strategy chooses among the open pairs, at most n of them, and fewer where it has nothing more to say. All are
deterministic: what they would leave to chance, `Pairs.draw` decides.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from curate.core.errors import CurateError

if TYPE_CHECKING:
    from curate.verify.routing.pairs import Int64, Pairs

STRATEGIES = (
    "random",
    "expected-value",
    "uncertainty",
    "dropped-arcs",
    "disagreement",
    "threshold",
    "errors",
    "d-optimal",
)
DEFAULT = "expected-value"


def choose(strategy: str, pairs: Pairs, n: int) -> Int64:
    """The pairs that `strategy` (one of `STRATEGIES`) would ask about: int64[≤ n], best first."""
    if strategy not in STRATEGIES:
        raise CurateError(f"There is no strategy '{strategy}': choose among {', '.join(STRATEGIES)}.")
    module = import_module(f"curate.verify.routing.{strategy.replace('-', '_')}")
    chosen: Int64 = module.choose(pairs, n)
    return chosen
