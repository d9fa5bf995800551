from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from curate.aggregate.votes import Votes

MakeVotes = Callable[..., Votes]


@pytest.fixture(scope="session")
def make_votes() -> MakeVotes:
    """Votes from rows (a, b, annotator, shown, outcome); `sizes` responses per prompt."""

    def make(
        rows: Sequence[Sequence[int]] | np.ndarray,
        *,
        sizes: Sequence[int] | None = None,
        annotators: int | None = None,
        human: Sequence[int] = (),
        length: np.ndarray | None = None,
    ) -> Votes:
        table = np.asarray(rows, np.int64).reshape(-1, 5)
        if sizes is None:
            sizes = [2] * (int(table[:, 1].max(initial=1)) // 2 + 1)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        table = table[np.argsort(table[:, 0], kind="stable")]
        count = int(table[:, 2].max(initial=0)) + 1 if annotators is None else annotators
        is_human = np.zeros(count, np.bool_)
        is_human[list(human)] = True
        extra = {} if length is None else {"length": length.astype(np.float32)}
        return Votes(
            offsets=offsets,
            prompt=(np.searchsorted(offsets, table[:, 0], side="right") - 1).astype(np.int32),
            a=table[:, 0].astype(np.int32),
            b=table[:, 1].astype(np.int32),
            annotator=table[:, 2].astype(np.int32),
            shown=table[:, 3].astype(np.int8),
            outcome=table[:, 4].astype(np.int8),
            p_a=((table[:, 4] + 1) / 2).astype(np.float32),
            annotators=tuple(f"j{i}" for i in range(count)),
            human=is_human,
            **extra,
        )

    return make


@pytest.fixture(scope="session")
def draw_panel(make_votes: MakeVotes) -> Callable[..., tuple[Votes, np.ndarray]]:
    """A panel of conditionally independent judges, one pair a prompt, both orders; and its truth in -1, 1."""

    def draw(
        ability: Sequence[float],
        pairs: int,
        *,
        position: Sequence[float] | None = None,
        tie: float = 0.0,
        missing: float = 0.0,
        seed: int = 0,
    ) -> tuple[Votes, np.ndarray]:
        rng = np.random.default_rng(seed)
        truth = np.where(rng.random(pairs) < 0.5, -1, 1)
        lean = np.zeros(len(ability)) if position is None else np.asarray(position)
        rows = []
        for j, skill in enumerate(ability):
            for shown in (1, -1):
                right = rng.random(pairs) < 1 / (1 + np.exp(-(skill + lean[j] * shown * truth)))
                outcome = np.where(right, truth, -truth)
                outcome[rng.random(pairs) < tie] = 0
                asked = np.flatnonzero(rng.random(pairs) >= missing)
                rows.append(
                    np.stack([2 * asked, 2 * asked + 1, 0 * asked + j, 0 * asked + shown, outcome[asked]], 1)
                )
        return make_votes(np.concatenate(rows), sizes=[2] * pairs, annotators=len(ability)), truth

    return draw
