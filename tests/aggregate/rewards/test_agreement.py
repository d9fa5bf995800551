"""Reward models that contradict each other."""

from __future__ import annotations

import numpy as np
import pytest

from curate.aggregate.rewards import measure_agreement, select_agreeing_pairs
from curate.core.errors import CurateError


def test_agreement_is_the_share_of_the_majority():
    margins = np.array([[1.0, 2.0, -1.0], [1.0, 1.0, 1.0], [0.0, np.nan, -3.0], [0.0, 0.0, np.nan]])
    np.testing.assert_allclose(measure_agreement(margins), [2 / 3, 1, 1, np.nan])
    assert select_agreeing_pairs(margins).tolist() == [False, True, True, False]
    assert select_agreeing_pairs(margins, least=0.6).tolist() == [True, True, True, False]
    assert select_agreeing_pairs(margins, outcome=np.array([1, 0, 0.5, 1])).tolist() == [
        False,
        False,
        True,
        False,
    ]
    with pytest.raises(CurateError, match="least is 0"):
        select_agreeing_pairs(margins, least=0.2)
