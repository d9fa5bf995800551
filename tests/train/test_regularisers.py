"""Terms beside the comparison loss: formulas written out, finite differences, shapes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from curate.train import regularisers

DOUBLE = torch.float64


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def test_responses_that_are_alike_may_be_less_far_apart() -> None:
    margin = torch.tensor([2.0, 2.0, -3.0, 9.0], dtype=DOUBLE)
    similarity = torch.tensor([1.0, 0.25, 1.0, 1.0], dtype=DOUBLE)
    found = regularisers.prior_constraint(margin, similarity)
    bounds = [6 / 1.001, 6 / 0.251, 6 / 1.001, 6 / 1.001]
    expected = [math.log1p(math.exp(m - bound)) for m, bound in zip(margin.tolist(), bounds, strict=True)]
    assert found.tolist() == pytest.approx(expected)
    assert found[1] < found[0] < found[3]
    assert torch.autograd.gradcheck(
        lambda each: regularisers.prior_constraint(each, similarity), (margin.requires_grad_(),)
    )


def test_the_discrepancy_is_the_sum_over_all_pairs() -> None:
    one, other = drawn(3), drawn(5, seed=1) + 1.0

    def kernel(left: Tensor, right: Tensor) -> float:
        cells = [
            math.exp(-(float(a - b) ** 2) / (2 * width**2))
            for a, b in itertools.product(left, right)
            for width in (0.5, 2.0)
        ]
        return sum(cells) / len(cells)

    expected = kernel(one, one) + kernel(other, other) - 2 * kernel(one, other)
    assert float(regularisers.mean_discrepancy(one, other, bandwidths=(0.5, 2.0))) == pytest.approx(expected)
    assert float(regularisers.mean_discrepancy(one, one)) == pytest.approx(0.0, abs=1e-12)
    assert torch.autograd.gradcheck(
        regularisers.mean_discrepancy, (one.requires_grad_(), other.requires_grad_())
    )


def test_scores_that_follow_length_are_told_from_those_that_do_not() -> None:
    lengths = drawn(64).abs() * 100
    following = regularisers.length_invariance(lengths / 50, lengths, bins=3)
    free = regularisers.length_invariance(drawn(64, seed=2), lengths, bins=3)
    assert float(following) > 3 * float(free) > 0.0
    scores = drawn(7, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(lambda each: regularisers.length_invariance(each, lengths[:7]), (scores,))
    assert regularisers.length_invariance(scores[:1], lengths[:1]).item() == 0.0


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: regularisers.prior_constraint(drawn(4), drawn(4, 1)),
        lambda: regularisers.prior_constraint(drawn(4), drawn(1)),
        lambda: regularisers.mean_discrepancy(drawn(4, 1), drawn(4)),
        lambda: regularisers.length_invariance(drawn(4), drawn(4, 1)),
    ],
)
def test_shapes_that_would_broadcast_are_refused(mistake: Callable[[], Tensor]) -> None:
    with pytest.raises(ValueError, match="shape"):
        mistake()
