from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.aggregate.rewards import Scale, fit_scale
from curate.core.errors import CurateError


@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-50, 50))
def test_a_models_zero_and_unit_do_not_matter(seed, unit, shift):
    rng = np.random.default_rng(seed)
    prompt = rng.integers(0, 4, 20).astype(np.int32)
    scores = rng.normal(size=(20, 2))
    other = scores * [1.0, unit] + [0.0, shift] + rng.normal(size=4)[prompt][:, None]
    plain = fit_scale(scores, prompt)(scores, prompt)
    np.testing.assert_allclose(fit_scale(other, prompt)(other, prompt), plain, atol=1e-8)
    for p in np.unique(prompt):
        np.testing.assert_allclose(np.median(plain[prompt == p], axis=0), 0, atol=1e-9)


def test_units_are_deviations_within_prompts_and_missing_scores_stay_missing():
    scores = np.array([[0.0, 5.0], [2.0, 5.0], [10.0, np.nan], [14.0, 5.0]])
    prompt = np.array([0, 0, 1, 1], np.int32)
    scale = fit_scale(scores, prompt)
    np.testing.assert_allclose(scale.unit, [np.sqrt((2 + 8) / 2), 1.0])  # the second scores all alike
    found = scale(scores, prompt)
    assert np.isnan(found[2, 1])
    assert found[3, 1] == 0.0


def test_wrong_shapes_and_quantiles_are_refused():
    with pytest.raises(CurateError, match="quantile is 2"):
        fit_scale(np.zeros((1, 1)), np.zeros(1, np.int32), quantile=2)
    with pytest.raises(CurateError, match="2 models"):
        Scale(unit=np.ones(2), quantile=0.5)(np.zeros((1, 1)), np.zeros(1, np.int32))
