"""A panel of judges with known truth: every pair of a prompt's responses, by every judge, in both orders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.votes import Votes

JUDGES = 5


@dataclass(frozen=True)
class Panel:
    """`quality` float64[R] is what the judges try to see."""

    votes: Votes
    quality: NDArray[np.float64]

    def accuracy(self, a: NDArray[np.int32], b: NDArray[np.int32], says_a: NDArray[np.float64]) -> float:
        """Share of pairs put the right way round; `says_a` > 0: a, < 0: b, 0: a tie, half right."""
        right = np.sign(self.quality[a] - self.quality[b]) * np.sign(says_a)
        return float(np.mean(0.5 + 0.5 * right))


def synthetic_panel(judgments: int, *, smallest: int = 4, largest: int = 8, seed: int = 0) -> Panel:
    """About `judgments` votes.

    Judges differ in ability (0.3 … 1.2 logits per unit of quality), favour what they see first, and call 5 % ties.
    """
    rng = np.random.default_rng(seed)
    sizes = np.arange(smallest, largest + 1)
    prompts = max(1, round(judgments / (2 * JUDGES * np.mean(sizes * (sizes - 1) / 2))))
    size = rng.integers(smallest, largest + 1, prompts)
    offsets = np.concatenate(([0], np.cumsum(size)))
    a, b, prompt = _all_pairs(size, offsets)
    quality = rng.normal(size=offsets[-1])
    votes = len(a) * 2 * JUDGES
    difference = np.repeat((quality[a] - quality[b]).astype(np.float32), 2 * JUDGES)
    annotator = np.tile(np.repeat(np.arange(JUDGES, dtype=np.int32), 2), len(a))
    shown = np.tile(np.array([1, -1], np.int8), len(a) * JUDGES)
    ability = np.linspace(0.3, 1.2, JUDGES, dtype=np.float32)[annotator]
    p_a = 1.0 / (1.0 + np.exp(-ability * difference - np.float32(0.2) * shown))
    outcome = np.where(rng.random(votes, dtype=np.float32) < p_a, 1, -1).astype(np.int8)
    outcome[rng.random(votes, dtype=np.float32) < 0.05] = 0
    return Panel(
        votes=Votes(
            offsets=offsets,
            prompt=np.repeat(prompt, 2 * JUDGES),
            a=np.repeat(a, 2 * JUDGES),
            b=np.repeat(b, 2 * JUDGES),
            annotator=annotator,
            shown=shown,
            outcome=outcome,
            p_a=(0.5 + 0.5 * outcome).astype(np.float32),
            annotators=tuple(f"judge-{k}" for k in range(JUDGES)),
            human=np.zeros(JUDGES, np.bool_),
        ),
        quality=quality,
    )


def _all_pairs(size: NDArray[np.int64], offsets: NDArray[np.int64]) -> tuple[NDArray[np.int32], ...]:
    """a, b and prompt of every pair, by prompt."""
    parts: list[tuple[NDArray[np.int64], ...]] = []
    for n in np.unique(size):
        of_size = np.flatnonzero(size == n)
        i, j = np.triu_indices(n, 1)
        base = offsets[of_size][:, None]
        parts.append(((base + i).ravel(), (base + j).ravel(), np.repeat(of_size, len(i))))
    a, b, prompt = (np.concatenate([part[k] for part in parts]) for k in range(3))
    by_prompt = np.argsort(prompt, kind="stable")
    return tuple(column[by_prompt].astype(np.int32) for column in (a, b, prompt))
