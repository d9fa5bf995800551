"""What is known of the pairs that people could be asked about: what every routing strategy reads."""

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
    """Q pairs with what the panel says of them, in any order; C judges; d dimensions of embeddings.

    | field        | type          | meaning |
    | ---          | ---           | --- |
    | `draw`       | float64[Q]    | permanent random number of each pair, see `permanent_draw` |
    | `p_a`        | float64[Q]    | probability that a is better |
    | `confidence` | float64[Q]    | probability that the label as it stands is right |
    | `opinion`    | float64[Q, C] | each judge's mean vote, -1 … 1; 0 where it has none |
    | `dropped`    | float64[Q]    | weight of the evidence that the denoised order overruled |
    | `gold`       | float64[Q]    | people's verdict, 1 (a), -1 (b), 0 (tie); NaN where they have not answered |
    | `open`       | bool[Q]       | which pairs may still be asked |
    | `threshold`  | float         | confidence from which labels are accepted; NaN where there is none yet |
    | `reward`     | float64[Q]    | the reward model's probability that a is better; NaN where it has none |
    | `difference` | float64[Q, d] | embedding of a minus that of b; d = 0 without embeddings |
    | `place`      | float64[Q, d] | embedding of the pair as a whole, unit vectors |
    """

    draw: Float64
    p_a: Float64
    confidence: Float64
    opinion: Float64
    dropped: Float64
    gold: Float64
    open: Bool
    threshold: float
    reward: Float64
    difference: Float64
    place: Float64

    def __len__(self) -> int:
        return len(self.p_a)

    def first(self, score: Float64, n: int, *, among: Bool | None = None) -> Int64:
        """Indexes of the n open pairs of the highest score, best first; equal ones in the order of `draw`.

        `among`: bool[Q], only these.
        """
        allowed = np.flatnonzero(self.open if among is None else self.open & among)
        order = np.lexsort((self.draw[allowed], -score[allowed]))
        chosen: Int64 = allowed[order[: max(n, 0)]]
        return chosen


def draw_permanently(pairs: Sequence[tuple[str, str]], seed: int) -> Float64:
    """float64[Q] in [0, 1): a number for each pair (response_a, response_b) that never changes under one seed.

    The pairs with the m lowest numbers are a simple random sample of size m, whatever else was asked, and a
    larger sample holds every smaller one (permanent random numbers: Ohlsson 1995).
    """
    words = [blake2b(f"{seed} {a} {b}".encode(), digest_size=8).digest() for a, b in pairs]
    numbers = np.frombuffer(b"".join(words), np.uint64)
    return (numbers >> np.uint64(11)).astype(np.float64) * 2.0**-53
