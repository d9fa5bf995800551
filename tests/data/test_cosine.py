"""Close vectors, against comparing all pairs one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.data import cosine
from curate.data.cosine import Float32, find_close_pairs


def draw_vectors(count: int, seed: int, planted: int = 0) -> Float32:
    """Random unit vectors; the last `planted` ones are nearly equal to earlier ones."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, 16))
    if planted:
        copies = rng.choice(count - planted, planted, replace=False)
        vectors[count - planted :] = vectors[copies] + 0.03 * rng.standard_normal((planted, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


@given(st.integers(0, 60), st.integers(0, 9), st.floats(0.3, 0.99))
def test_it_finds_what_comparing_all_pairs_finds(count: int, seed: int, threshold: float) -> None:
    vectors = draw_vectors(count, seed)
    products = vectors @ vectors.T
    expected = {
        (i, j) for j in range(count) for i in range(j) if products[i, j] >= threshold + 1e-5
    }  # at the threshold itself rounding decides
    pairs = find_close_pairs(vectors, threshold)
    found = set(zip(pairs.earlier.tolist(), pairs.later.tolist(), strict=True))
    assert expected <= found
    assert all(products[i, j] >= threshold - 1e-5 and i < j for i, j in found)
    assert pairs.overlap == pytest.approx(products[pairs.earlier, pairs.later], abs=1e-5)
    assert (np.diff(pairs.later) >= 0).all()


def test_blocks_and_clusters_find_planted_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = draw_vectors(4000, 1, planted=400)
    expected = find_close_pairs(vectors, 0.97)
    assert len(expected.later) >= 400
    monkeypatch.setattr(cosine, "_BLOCK", 300)
    monkeypatch.setattr(cosine, "_CLUSTER", 200)
    found = find_close_pairs(vectors, 0.97, exact=1000)
    share = len(found.later) / len(expected.later)
    assert share > 0.98
    assert set(zip(found.earlier, found.later, strict=True)) <= set(
        zip(expected.earlier, expected.later, strict=True)
    )
