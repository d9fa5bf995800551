"""Agreement against published figures and against definitions written out naively."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curate.stats.agreement import bootstrap_agreement, cohen_kappa, fleiss_kappa, krippendorff_alpha

# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section C: four observers, twelve units.
OBSERVERS = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)
# Fleiss (1971)'s measure on the textbook example of ten subjects, fourteen raters and five categories.
SUBJECTS = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)
COUNTS = arrays(np.int64, st.tuples(st.integers(1, 8), st.just(3)), elements=st.integers(0, 4))


def krippendorff_counts() -> np.ndarray:
    counts = np.zeros((12, 5), np.int64)
    for observer in OBSERVERS:
        for unit, value in enumerate(observer):
            if value is not None:
                counts[unit, value - 1] += 1
    return counts


def test_alpha_is_krippendorffs() -> None:
    counts = krippendorff_counts()
    assert krippendorff_alpha(counts) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(counts, np.arange(1.0, 6.0)) == pytest.approx(0.849, abs=5e-4)


def test_fleiss_kappa_is_the_textbooks() -> None:
    assert fleiss_kappa(SUBJECTS) == pytest.approx(0.210, abs=5e-4)


def test_cohen_kappa_is_the_textbooks() -> None:
    # 20 times both yes, 15 both no, 5 and 10 mixed: observed 0.70, chance 0.50.
    first = np.repeat([0, 0, 1, 1], [20, 5, 10, 15])
    second = np.repeat([0, 1, 0, 1], [20, 5, 10, 15])
    assert cohen_kappa(first, second, 2) == pytest.approx(0.4)


@given(COUNTS, st.booleans())
def test_alpha_is_its_definition(counts: np.ndarray, ordered: bool) -> None:
    values = np.array([-1.0, 0.0, 1.0])
    found = krippendorff_alpha(counts, values if ordered else None)

    def distance(c: int, k: int) -> float:
        return float((values[c] - values[k]) ** 2) if ordered else float(c != k)

    units = [np.repeat(np.arange(3), row).tolist() for row in counts if row.sum() > 1]
    everyone = [value for unit in units for value in unit]
    observed = sum(sum(distance(c, k) for c, k in permutations(unit, 2)) / (len(unit) - 1) for unit in units)
    chance = sum(distance(c, k) for c, k in permutations(everyone, 2))
    if chance == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(1 - observed * (len(everyone) - 1) / chance)


@given(COUNTS)
def test_figures_never_exceed_one(counts: np.ndarray) -> None:
    for figure in (krippendorff_alpha, fleiss_kappa):
        value = figure(counts)
        assert np.isnan(value) or value <= 1 + 1e-12


def test_the_interval_holds_the_value_and_shrinks() -> None:
    few, many = (
        bootstrap_agreement(fleiss_kappa, SUBJECTS),
        bootstrap_agreement(fleiss_kappa, np.tile(SUBJECTS, (20, 1))),
    )
    assert few.low < few.value < few.high
    assert many.high - many.low < few.high - few.low
    assert few.n == 10


def test_nothing_said_twice_is_no_agreement() -> None:
    assert np.isnan(krippendorff_alpha(np.eye(3, dtype=np.int64)))
    assert np.isnan(fleiss_kappa(np.eye(3, dtype=np.int64)))
    assert np.isnan(bootstrap_agreement(krippendorff_alpha, np.eye(3, dtype=np.int64)).value)
