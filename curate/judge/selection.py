"""The choice of a prompt's pairs for a judge, where all N·(N−1)/2 are too many.

| `pairs`       | asks |
| ---           | --- |
| `all`         | every pair |
| `round-robin` | rounds in which every response meets another one (the circle method), from a shuffled start |
| `swiss`       | rounds in which responses meet that stand next to each other so far |
| `active`      | rounds of the pairs whose outcomes would tell most about the order (D-optimal for Bradley–Terry) |

All stop at `max_pairs`. The last two depend on the judgments so far, so they are planned round by round. The
choice depends on the ids and on committed judgments alone, so a run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from curate.config.judge import Pairs
from curate.core.identity import content_id

Pair = tuple[str, str]  # response ids, in their order
_PRIOR = 1.0  # precision of a response's strength before any judgment, in logits


def select_pairs(
    ids: Sequence[str], pairs: Pairs, limit: int | None, judged: Mapping[Pair, float | None]
) -> set[Pair]:
    """Select the pairs that are asked about by now: the judged ones, and a round more while `limit` is not reached.

    Args:
        ids: Response ids of the prompt, in order.
        pairs: The way of choosing.
        limit: Most pairs; None: `compute_default_limit`.
        judged: Probability that the first response of a pair is better, for pairs that the judge was asked about;
            None: the judge gave no verdict.
    """
    everything = list(itertools.combinations(ids, 2))
    limit = min(len(everything), limit if limit is not None else compute_default_limit(len(ids)))
    if pairs == "all" or limit == len(everything):
        return set(everything)
    shuffled = list(ids)
    random.Random(content_id("pairs", list(ids))).shuffle(shuffled)
    if pairs == "round-robin" or not judged:
        room = limit - len(judged) if pairs == "round-robin" else min(limit, len(ids) // 2)
        left = (pair for pair in list_round_robin(shuffled) if pair not in judged)
        return set(judged) | set(itertools.islice(left, max(0, room)))
    room = min(limit - len(judged), len(ids) // 2)
    if room <= 0:
        return set(judged)
    choose = _pick_swiss if pairs == "swiss" else _pick_informative
    return set(judged) | set(choose(shuffled, judged, room))


def compute_default_limit(n: int) -> int:
    """Return the pairs of ⌈log₂ n⌉ rounds: about as many comparisons as sorting takes."""
    return max(1, n // 2 * (n - 1).bit_length()) if n > 1 else 0


def list_round_robin(ids: Sequence[str]) -> Iterator[Pair]:
    """Yield all pairs, round by round; in a round no response is in two pairs. Two rounds connect all responses."""
    seats: list[str | None] = [*ids, *([None] if len(ids) % 2 else [])]
    half = len(seats) // 2
    for _ in range(len(seats) - 1):
        for one, other in zip(seats[:half], reversed(seats[half:]), strict=True):
            if one is not None and other is not None:
                yield _order_pair(one, other)
        seats = [seats[0], seats[-1], *seats[1:-1]]


def _pick_swiss(ids: Sequence[str], judged: Mapping[Pair, float | None], room: int) -> list[Pair]:
    """Pair each response with the nearest one in the standings that it has not met; the shuffle breaks ties."""
    points = dict.fromkeys(ids, 0.0)
    for (a, b), p in judged.items():
        if p is not None and a in points and b in points:
            points[a] += p
            points[b] += 1 - p
    standing = sorted(ids, key=lambda response_id: -points[response_id])  # stable
    chosen: list[Pair] = []
    while standing and len(chosen) < room:
        one = standing.pop(0)
        other = next((candidate for candidate in standing if _order_pair(one, candidate) not in judged), None)
        if other is not None:
            standing.remove(other)
            chosen.append(_order_pair(one, other))
    return chosen or [pair for pair in list_round_robin(ids) if pair not in judged][:room]


def _pick_informative(ids: Sequence[str], judged: Mapping[Pair, float | None], room: int) -> list[Pair]:
    """Pick greedily the pairs with the largest p·(1−p)·Var(θ_a − θ_b), their gain in log det of the information."""
    index = {response_id: number for number, response_id in enumerate(ids)}
    results = [
        (index[a], index[b], p) for (a, b), p in judged.items() if p is not None and a in index and b in index
    ]
    strength, information = _fit_bradley_terry(len(ids), results)
    covariance = np.linalg.inv(information)
    left = [pair for pair in list_round_robin(ids) if pair not in judged]
    chosen: list[Pair] = []
    while left and len(chosen) < room:
        a = np.array([index[pair[0]] for pair in left])
        b = np.array([index[pair[1]] for pair in left])
        spread = covariance[a, a] + covariance[b, b] - 2 * covariance[a, b]
        p = 1 / (1 + np.exp(strength[b] - strength[a]))
        best = int(np.argmax(np.round(p * (1 - p) * spread, 12)))
        column = covariance[:, a[best]] - covariance[:, b[best]]
        weight = p[best] * (1 - p[best])  # Sherman–Morrison: the information that the answer will bring
        covariance -= np.outer(column, column) * weight / (1 + weight * spread[best])
        chosen.append(left.pop(best))
    return chosen


def _fit_bradley_terry(
    n: int, judged: Sequence[tuple[int, int, float]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit strengths by Newton's method under a normal prior.

    Args:
        n: Number of responses.
        judged: Index of a, index of b, probability that a is better.

    Returns:
        Strengths at the posterior mode, float64[n] in logits, and the information there, float64[n, n].
    """
    strength, information = np.zeros(n), np.eye(n) * _PRIOR
    for _ in range(25):
        gradient, information = -_PRIOR * strength, np.eye(n) * _PRIOR
        for a, b, outcome in judged:
            p = 1 / (1 + np.exp(strength[b] - strength[a]))
            gradient[a] += outcome - p
            gradient[b] -= outcome - p
            information[[a, b], [a, b]] += p * (1 - p)
            information[[a, b], [b, a]] -= p * (1 - p)
        step = np.linalg.solve(information, gradient)
        strength = strength + step
        if np.abs(step).max() < 1e-9:
            break
    return strength, information


def _order_pair(one: str, other: str) -> Pair:
    return (one, other) if one < other else (other, one)
