"""The order of votes against a plain sort of tuples, packed into one number and not."""

from __future__ import annotations

import numpy as np
import pytest

from curate.aggregate.sort_votes import RawVotes, sort_raw_votes

COLUMNS = ("a", "b", "annotator", "shown", "outcome", "p_a")


def votes(rng: np.random.Generator, size: list[int], annotators: int, n: int) -> tuple[RawVotes, np.ndarray]:
    offsets = np.concatenate(([0], np.cumsum(size)))
    prompt = rng.choice(np.flatnonzero(np.array(size) > 1), n)
    pair = np.array([np.sort(rng.choice(size[k], 2, replace=False)) for k in prompt], int).reshape(-1, 2)
    a, b = (offsets[prompt] + pair[:, side] for side in (0, 1))
    said = RawVotes(
        a=a.astype(np.int32),
        b=b.astype(np.int32),
        annotator=rng.integers(0, annotators, n).astype(np.int32),
        shown=rng.integers(-1, 2, n).astype(np.int8),
        outcome=rng.integers(-1, 2, n).astype(np.int8),
        p_a=rng.choice([0.0, 1e-40, 0.3, 0.5, 1.0], n).astype(np.float32),
    )
    return said, offsets


@pytest.mark.parametrize("annotators", [1, 5, 1 << 24])  # the last do not fit into one number
@pytest.mark.parametrize("n", [0, 1, 3000])
def test_votes_come_as_their_tuples_would(annotators: int, n: int) -> None:
    size = [3, 0, 2, 70, 1, 5]
    said, offsets = votes(np.random.default_rng(n), size, annotators, n)
    owner = np.repeat(np.arange(len(size), dtype=np.int32), size)
    prompt, found = sort_raw_votes(said, owner, offsets)
    expected = sorted(zip(*(getattr(said, name).tolist() for name in COLUMNS), strict=True))
    assert [*zip(*(getattr(found, name).tolist() for name in COLUMNS), strict=True)] == expected
    assert prompt.tolist() == owner[found.a].tolist()
    assert prompt.dtype == np.int32
    for name in COLUMNS:
        assert getattr(found, name).dtype == getattr(said, name).dtype
