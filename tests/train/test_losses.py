"""Every loss against its formula written out, its gradient against finite differences, its shapes against mistakes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from curate.train import losses

DOUBLE = torch.float64
MARGIN = torch.tensor([-2.0, 0.3, 1.1, 4.0], dtype=DOUBLE)
LABEL = torch.tensor([0.9, 0.5, 0.0, 1.0], dtype=DOUBLE)
WEIGHT = torch.tensor([1.0, 2.0, 0.0, 5.0], dtype=DOUBLE)
OUTCOME = torch.tensor([1, 0, -1, 0])
TIE = torch.tensor(0.4, dtype=DOUBLE)
SCORES = torch.tensor([[0.2, -1.0, 0.7], [1.5, 0.1, -math.inf]], dtype=DOUBLE)
TARGET = torch.tensor([[0.5, 0.0, 0.5], [0.8, 0.2, 0.0]], dtype=DOUBLE)
RANK = torch.tensor([[2, 3, 1], [1, 2, 1]])

ON_MARGINS: dict[str, Callable[[Tensor], Tensor]] = {
    "bradley_terry": lambda margin: losses.bradley_terry(margin, LABEL, weight=WEIGHT),
    "margin_bradley_terry": lambda margin: losses.margin_bradley_terry(margin, LABEL * 2, weight=WEIGHT),
    "rao_kupper": lambda margin: losses.rao_kupper(margin, OUTCOME, TIE, weight=WEIGHT),
}
ON_TABLES: dict[str, Callable[[Tensor], Tensor]] = {
    "best_of_n": lambda scores: losses.best_of_n(scores, TARGET),
    "plackett_luce": lambda scores: losses.plackett_luce(scores, RANK),
}


@pytest.mark.parametrize("name", ON_MARGINS)
def test_gradients_of_pair_losses(name: str) -> None:
    assert torch.autograd.gradcheck(ON_MARGINS[name], (MARGIN.clone().requires_grad_(),))


@pytest.mark.parametrize("name", ON_TABLES)
def test_gradients_of_list_losses_reach_what_is_there_and_nothing_else(name: str) -> None:
    present = torch.isfinite(SCORES)
    known = SCORES[present].clone().requires_grad_()

    def loss(values: Tensor) -> Tensor:
        return ON_TABLES[name](torch.full_like(SCORES, -math.inf).masked_scatter(present, values))

    assert torch.autograd.gradcheck(loss, (known,))
    whole = SCORES.clone().requires_grad_()
    ON_TABLES[name](whole).backward()
    assert whole.grad is not None
    assert torch.isfinite(whole.grad).all()
    assert whole.grad[1, 2] == 0.0


def test_gradients_of_the_others() -> None:
    assert torch.autograd.gradcheck(
        lambda tie: losses.rao_kupper(MARGIN, OUTCOME, tie), (TIE.clone().requires_grad_(),)
    )
    table = torch.randn(3, 4, dtype=DOUBLE, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(
        losses.centring_penalty, (table.detach()[:, :2].clone().requires_grad_(),)
    )


def test_bradley_terry_is_the_weighted_cross_entropy() -> None:
    p = torch.sigmoid(MARGIN)
    expected = -(LABEL * p.log() + (1 - LABEL) * (1 - p).log())
    assert torch.allclose(losses.bradley_terry(MARGIN, LABEL), expected.mean())
    assert torch.allclose(losses.bradley_terry(MARGIN, LABEL, weight=WEIGHT), (expected * WEIGHT).sum() / 8)
    assert torch.allclose(
        losses.bradley_terry(MARGIN, LABEL, weight=WEIGHT * 7),
        losses.bradley_terry(MARGIN, LABEL, weight=WEIGHT),
    )


def test_smoothing_is_a_random_flip_and_strength_moves_the_margin() -> None:
    assert losses.smooth_labels(torch.tensor([0.0, 0.5, 1.0]), 0.1).tolist() == pytest.approx([0.1, 0.5, 0.9])
    with pytest.raises(ValueError, match="smoothing"):
        losses.smooth_labels(LABEL, 0.5)
    ones = torch.ones_like(MARGIN)
    moved = losses.margin_bradley_terry(MARGIN, ones * 0.5)
    assert torch.allclose(moved, losses.bradley_terry(MARGIN - 0.5, ones))


def test_rao_kupper_is_a_distribution_over_three_outcomes() -> None:
    for margin in MARGIN[:, None]:
        chances = [
            torch.exp(-losses.rao_kupper(margin, torch.tensor([outcome]), TIE)) for outcome in (1, 0, -1)
        ]
        assert float(sum(chances)) == pytest.approx(1.0)
        theta = math.exp(TIE)
        assert float(chances[0]) == pytest.approx(math.exp(margin) / (math.exp(margin) + theta))
    nearly_none = torch.tensor(1e-9, dtype=DOUBLE)
    decided = torch.ones(4, dtype=torch.int64)
    assert torch.allclose(
        losses.rao_kupper(MARGIN, decided, nearly_none),
        losses.bradley_terry(MARGIN, torch.ones(4, dtype=DOUBLE)),
    )


def test_two_responses_are_a_pair_in_every_list_loss() -> None:
    scores = torch.stack([MARGIN, torch.zeros(4, dtype=DOUBLE)], dim=1)
    pair = losses.bradley_terry(MARGIN, LABEL)
    assert torch.allclose(losses.best_of_n(scores, torch.stack([LABEL, 1 - LABEL], dim=1)), pair)
    first = losses.bradley_terry(MARGIN, torch.ones(4, dtype=DOUBLE))
    assert torch.allclose(losses.plackett_luce(scores, torch.tensor([[1, 2]] * 4)), first)
    padded = torch.cat([scores, torch.full((4, 1), -math.inf, dtype=DOUBLE)], dim=1)
    assert torch.allclose(losses.plackett_luce(padded, torch.tensor([[1, 2, 0]] * 4)), first)


def test_plackett_luce_without_ties_is_a_distribution_over_orders() -> None:
    scores = torch.tensor([[0.3, -0.8, 1.2]], dtype=DOUBLE)
    orders = [torch.tensor([order]) for order in itertools.permutations((1, 2, 3))]
    total = sum(float(torch.exp(-losses.plackett_luce(scores, order))) for order in orders)
    assert total == pytest.approx(1.0)


def test_tied_responses_are_chosen_from_the_same_set() -> None:
    scores = torch.tensor([[0.3, -0.8, 1.2]], dtype=DOUBLE)
    everyone = torch.logsumexp(scores[0], dim=0)
    expected = (everyone - scores[0, 0]) + (everyone - scores[0, 1])  # and the last one from itself
    assert torch.allclose(losses.plackett_luce(scores, torch.tensor([[1, 1, 2]])), expected)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: losses.bradley_terry(torch.zeros(4), torch.zeros(4, 1)),
        lambda: losses.bradley_terry(torch.zeros(4), torch.zeros(4), weight=torch.zeros(1)),
        lambda: losses.bradley_terry(torch.zeros(0), torch.zeros(0)),
        lambda: losses.margin_bradley_terry(torch.zeros(4), torch.zeros(())),
        lambda: losses.rao_kupper(torch.zeros(4), torch.zeros(4), torch.zeros(4)),
        lambda: losses.best_of_n(torch.zeros(4, 2), torch.zeros(4)),
        lambda: losses.best_of_n(torch.zeros(4), torch.zeros(4)),
        lambda: losses.best_of_n(torch.tensor([[0.0, -math.inf]]), torch.tensor([[0.5, 0.5]])),
        lambda: losses.plackett_luce(torch.zeros(4, 2), torch.zeros(2, 4)),
        lambda: losses.centring_penalty(torch.zeros(4, 3)),
        lambda: losses.ordinal_pair(torch.zeros(4, 3), torch.zeros(4, 3), torch.zeros(4, 1)),
    ],
)
def test_shapes_that_would_broadcast_are_refused(mistake: Callable[[], Tensor]) -> None:
    with pytest.raises(ValueError, match=r"shape|rows|table|scalar|weights|pairs|target"):
        mistake()


def logits(rows: int, levels: int, seed: int) -> Tensor:
    return torch.randn(rows, levels, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def test_gradients_of_losses_on_levels() -> None:
    one, other = logits(3, 5, 1).requires_grad_(), logits(3, 5, 2).requires_grad_()
    p, weight = torch.tensor([0.9, 0.5, 0.0], dtype=DOUBLE), torch.tensor([1.0, 2.0, 3.0], dtype=DOUBLE)
    pair = lambda first, second: losses.ordinal_pair(first, second, p, weight=weight)  # noqa: E731
    assert torch.autograd.gradcheck(pair, (one, other))


def test_a_pair_of_levels_is_counted_out() -> None:
    one, other = logits(2, 4, 3), logits(2, 4, 4)
    first, second = torch.softmax(one, dim=1), torch.softmax(other, dim=1)
    for row in range(2):
        wins = sum(
            float(first[row, i] * second[row, j]) * (1.0 if i > j else 0.5 if i == j else 0.0)
            for i in range(4)
            for j in range(4)
        )
        loss = losses.ordinal_pair(one[row : row + 1], other[row : row + 1], torch.ones(1, dtype=DOUBLE))
        assert float(loss) == pytest.approx(-math.log(wins))


def test_surer_pairs_count_more() -> None:
    weight = losses.confidence_weight(torch.tensor([0.0, 1.0, -1.0, 50.0]), 2.0, 0.5)
    expected = [1.0, *[1.0 + 2.0 * (1.0 - math.exp(-0.5))] * 2, 3.0]
    assert weight.tolist() == pytest.approx(expected)
