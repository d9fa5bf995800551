"""The pairs that people could be asked about, as every routing strategy reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Q pairs in any order, with the votes of C judges and embeddings of d dimensions.

    | field                  | type          | meaning |
    | ---                    | ---           | --- |
    | `draw`                 | float64[Q]    | permanent random number of each pair, see `draw_permanently` |
    | `p_a`                  | float64[Q]    | probability that a is better |
    | `confidence`           | float64[Q]    | probability that the label as it stands is right |
    | `votes`                | float64[Q, C] | each judge's mean vote, -1 (b) … 1 (a); 0 where it has none |
    | `dropped_weight`       | float64[Q]    | weight of the evidence that the denoised order overruled |
    | `human_verdict`        | float64[Q]    | people's verdict, 1 (a), -1 (b), 0 (tie); NaN without an answer |
    | `is_open`              | bool[Q]       | which pairs may still be asked |
    | `threshold`            | float         | confidence from which labels are accepted; NaN where there is none yet |
    | `reward_p_a`           | float64[Q]    | the reward model's probability that a is better; NaN where it has none |
    | `embedding_difference` | float64[Q, d] | embedding of a minus that of b; d = 0 without embeddings |
    | `pair_embedding`       | float64[Q, d] | embedding of the prompt and both responses, unit vectors |
    """

    draw: Float64
    p_a: Float64
    confidence: Float64
    votes: Float64
    dropped_weight: Float64
    human_verdict: Float64
    is_open: Bool
    threshold: float
    reward_p_a: Float64
    embedding_difference: Float64
    pair_embedding: Float64

    def __len__(self) -> int:
        return len(self.p_a)

    def take_best(self, score: Float64, n: int, *, among: Bool | None = None) -> Int64:
        """Return the open pairs of the highest score.

        Args:
            score: float64[Q]; equal scores are taken in the order of `draw`.
            n: Most pairs to return.
            among: bool[Q], the pairs to choose from; default: all.

        Returns:
            int64[≤ n]: row numbers, best first.
        """
        allowed = np.flatnonzero(self.is_open if among is None else self.is_open & among)
        order = np.lexsort((self.draw[allowed], -score[allowed]))
        chosen: Int64 = allowed[order[: max(n, 0)]]
        return chosen


def draw_permanently(pairs: Sequence[tuple[str, str]], seed: int) -> Float64:
    """Return float64[Q] in [0, 1): a number for each pair (response_a, response_b) that depends on the seed alone.

    The pairs with the m lowest numbers are a simple random sample of size m, whatever else was asked, and a
    larger sample holds every smaller one (permanent random numbers: Ohlsson 1995).
    """
    words = [blake2b(f"{seed} {a} {b}".encode(), digest_size=8).digest() for a, b in pairs]
    numbers = np.frombuffer(b"".join(words), np.uint64)
    return (numbers >> np.uint64(11)).astype(np.float64) * 2.0**-53
