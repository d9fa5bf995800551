"""The result of denoising the preference graphs of all prompts: by pair, by response and by prompt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.graph.tally import PairTally
from curate.aggregate.votes import Float64, Int8, Int32


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoisedGraphs:
    """Acyclic preference graphs: P prompts, R responses, E judged pairs (those of `tally`).

    An order of a prompt's responses drops the arcs that point against it; an optimal order drops the least
    weight. There are often several, so `direction` holds what they all agree on and `order` one of them:

    | field            | type       | meaning |
    | ---              | ---        | --- |
    | `net`            | float64[E] | arc weight before denoising: positive for a, negative for b, 0 no arc |
    | `direction`      | int8[E]    | +1 a is ahead of b in every optimal order, -1 b is, 0 they are tied: it differs |
    | `margin`         | float64[E] | how much more weight the best order with this pair reversed drops; 0 where tied |
    | `order`          | int32[R]   | one optimal order per prompt, best first; indexes of responses |
    | `rank`           | int32[R]   | 1 is best, ties share a rank (1, 1, 3), 0 for a response that no pair mentions |
    | `dropped_weight` | float64[P] | total weight of the dropped arcs |
    | `prompt_margin`  | float64[P] | least margin of the prompt's arcs; NaN where it has none |
    | `exact`          | bool[P]    | whether `order` is proven optimal |

    `rank` sorts by the number of responses that are ahead in every optimal order less the number that are
    behind; it never contradicts `direction`, needs no order among equals, and does not depend on how
    responses are numbered.

    Where a prompt has more responses than the exact limit, margins between strongly connected components are
    lower bounds (the arc's own weight), and in a component that is itself too large `order` is a local
    optimum, `direction` is that of `order` and `margin` is NaN.
    """

    tally: PairTally
    net: Float64
    direction: Int8
    margin: Float64
    order: Int32
    rank: Int32
    dropped_weight: Float64
    prompt_margin: Float64
    exact: NDArray[np.bool_]

    @property
    def dropped(self) -> Float64:
        """Return the weight of each arc that `order` drops, else 0, float64[E]: the review queue."""
        position = np.empty(len(self.order), np.int64)
        position[self.order] = np.arange(len(self.order))
        a_first = position[self.tally.a] < position[self.tally.b]
        return np.where(a_first, np.maximum(-self.net, 0.0), np.maximum(self.net, 0.0))

    @property
    def support(self) -> Float64:
        """Return the votes' weight for `direction`, float64[E]; 0 where tied."""
        return np.select(
            [self.direction > 0, self.direction < 0], [self.tally.weight_a, self.tally.weight_b], 0.0
        )

    @property
    def against(self) -> Float64:
        """Return the votes' weight against `direction`, float64[E]; 0 where tied."""
        return np.select(
            [self.direction > 0, self.direction < 0], [self.tally.weight_b, self.tally.weight_a], 0.0
        )

    @property
    def total_weight(self) -> Float64:
        """Return the weight of all arcs before denoising, float64[P]."""
        return per_prompt_sum(np.abs(self.net), self.tally)

    @property
    def cyclic(self) -> NDArray[np.bool_]:
        """bool[P], whether the graph had a cycle before denoising (afterwards none has)."""
        return self.dropped_weight > 0.0

    @property
    def unique(self) -> NDArray[np.bool_]:
        """bool[P], whether only one set of arcs has the least weight; False where that is not known."""
        return self.exact & ~(self.prompt_margin <= 0.0)


def per_prompt_sum(values: Float64, tally: PairTally) -> Float64:
    """float64[P] from float64[E]."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    sums: Float64 = total[tally.offsets[1:]] - total[tally.offsets[:-1]]
    return sums
