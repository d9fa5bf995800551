"""Shingles against a naive reference in Python."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.data.shingles import hash_shingles, normalize_text

WORDS = st.lists(
    st.sampled_from(["a", "B", "red", "Ünal", "42", "7", "日本", "語", "don't", "x1"]), max_size=12
)


def split_words(text: str) -> list[str]:
    """The words of a text: every character of Chinese, Japanese and Korean by itself, and runs of others."""
    found = re.findall(r"[\u3000-\udfff]|[^\W_\u3000-\udfff]+", normalize_text(text))
    return [word for word in found if word.isalnum()]


def naive(text: str, n: int) -> set[tuple[str, ...]]:
    words = split_words(text)
    width = min(n, len(words))
    return (
        {tuple(words[start : start + width]) for start in range(len(words) - width + 1)} if words else set()
    )


@given(texts=st.lists(WORDS.map(" ".join), min_size=2, max_size=6), n=st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_two_texts_share_what_their_runs_of_words_share(texts: list[str], n: int) -> None:
    shingles = hash_shingles(texts, n=n)
    sets = [
        set(shingles.hashes[start:end].tolist())
        for start, end in zip(shingles.bounds, shingles.bounds[1:], strict=False)
    ]
    for i, first in enumerate(texts):
        assert len(sets[i]) == len(naive(first, n))
        for j, second in enumerate(texts):
            assert len(sets[i] & sets[j]) == len(naive(first, n) & naive(second, n))


@given(text=st.text(max_size=60), n=st.integers(1, 5))
@settings(max_examples=300, deadline=None)
def test_any_text_has_sorted_shingles(text: str, n: int) -> None:
    shingles = hash_shingles([text, text.upper()], n=n)
    assert len(shingles) == 2
    first = shingles.hashes[: shingles.bounds[1]]
    assert (np.diff(first.astype(np.int64)) > 0).all()


def test_case_punctuation_and_blanks_do_not_count_but_numbers_do() -> None:
    shingles = hash_shingles(["Add 2 and 3!", "add  2, and 3", "add 2 and 4", "add them"], n=2)
    parts = [
        shingles.hashes[a:b].tolist() for a, b in zip(shingles.bounds, shingles.bounds[1:], strict=False)
    ]
    assert parts[0] == parts[1] != parts[2]
    assert shingles.numbers[0] == shingles.numbers[1] != shingles.numbers[2]
    assert shingles.numbers[3] == 0


def test_no_texts_have_no_shingles() -> None:
    assert len(hash_shingles([], n=3)) == 0
    empty = hash_shingles(["", "..."], n=3)
    assert len(empty) == 2
    assert len(empty.hashes) == 0
