"""Near-duplicates against the overlap of all pairs."""

from __future__ import annotations

import random

import numpy as np
import pytest

from curate.data.minhash import SimilarPairs, choose_bands, choose_repeats, find_similar_pairs
from curate.data.shingles import hash_shingles

VOCABULARY = [f"word{number}" for number in range(3000)]


def make_texts(number: int, seed: int) -> list[str]:
    """Texts of 30 to 80 words; a third of them are earlier ones with a few words changed."""
    rng = random.Random(seed)
    texts: list[str] = []
    for _ in range(number):
        if texts and rng.random() < 1 / 3:
            words = rng.choice(texts).split()
            for _ in range(rng.randint(0, 6)):
                words[rng.randrange(len(words))] = rng.choice(VOCABULARY)
        else:
            words = rng.choices(VOCABULARY, k=rng.randint(30, 80))
        texts.append(" ".join(words))
    return texts


def list_shingles(text: str, n: int) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def overlap(first: set[tuple[str, ...]], second: set[tuple[str, ...]]) -> float:
    return len(first & second) / len(first | second)


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_pairs_above_the_threshold_are_found_with_their_exact_overlap(threshold: float) -> None:
    texts = make_texts(400, seed=1)
    shingles = [list_shingles(text, 3) for text in texts]
    pairs = find_similar_pairs(hash_shingles(texts, n=3), threshold)
    found = dict(
        zip(zip(pairs.earlier.tolist(), pairs.later.tolist(), strict=True), pairs.overlap, strict=True)
    )
    for (i, j), value in found.items():
        assert i < j
        assert value == pytest.approx(overlap(shingles[i], shingles[j]))
        assert value >= threshold
    gone, _, _ = choose_repeats(pairs, np.ones(len(pairs.later), bool))
    left = sorted(set(range(len(texts))) - set(gone.tolist()))
    alike = [
        (i, j)
        for at, i in enumerate(left)
        for j in left[at + 1 :]
        if overlap(shingles[i], shingles[j]) >= threshold
    ]
    assert len(alike) <= 0.01 * max(
        1, len(gone)
    )  # what no band found: at most .5 % of pairs at the threshold


def test_whatever_is_left_out_repeats_something_that_stays() -> None:
    pairs = SimilarPairs(np.array([0, 1, 0, 3]), np.array([1, 2, 3, 4]), np.array([0.9, 0.9, 0.8, 1.0]))
    gone, kept, values = choose_repeats(pairs, np.array([True, True, True, True]))
    assert gone.tolist() == [1, 3]  # 2 is like 1 only, and 4 like 3 only: both of these are gone
    assert kept.tolist() == [0, 0]
    assert values.tolist() == [0.9, 0.8]
    gone, kept, _ = choose_repeats(pairs, np.array([False, True, False, True]))
    assert (gone.tolist(), kept.tolist()) == ([2, 4], [1, 3])


def test_the_bands_find_a_pair_at_the_threshold() -> None:
    for threshold in (0.31, 0.5, 0.8, 0.95, 1.0):
        bands, rows = choose_bands(threshold)
        assert bands * rows <= 128
        assert 1 - (1 - threshold**rows) ** bands >= 0.995 or rows == 1
