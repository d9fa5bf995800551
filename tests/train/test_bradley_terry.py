"""The cross-fitted heads: the loss, what they learn, and that no label of a fold reaches its own head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from curate.reward.embedding_reward import build_features
from curate.train.bradley_terry import EmbeddedPairs, HeadFit, HeadSettings, fit_mlp_heads
from curate.train.losses import soft_bradley_terry

SETTINGS = HeadSettings(
    hidden=8,
    epochs=6,
    patience=6,
    batch=16,
    learning_rate=3e-3,
    weight_decay=0.01,
    dropout=0.1,
    folds=3,
    seed=0,
)


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = rng.standard_normal(shape)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def make_items(prompts: int = 60, seed: int = 0) -> EmbeddedPairs:
    """Two responses a prompt; the better one lies further along a fixed direction."""
    rng = np.random.default_rng(seed)
    responses, direction = unit(rng, 2 * prompts, 8), unit(rng, 8)
    better = (responses @ direction).reshape(-1, 2).argmax(axis=1)
    first = 2 * np.arange(prompts)
    fold = np.arange(prompts) % SETTINGS.folds
    return EmbeddedPairs(
        prompts=unit(rng, prompts, 8),
        responses=responses,
        prompt_of=np.repeat(np.arange(prompts), 2),
        chosen=first + better,
        rejected=first + 1 - better,
        p_chosen=np.ones(prompts),
        weight=np.ones(prompts),
        fold=fold,
        response_fold=np.repeat(fold, 2),
    )


def trained(items: EmbeddedPairs, settings: HeadSettings = SETTINGS) -> HeadFit:
    return fit_mlp_heads(items, settings, lambda _: None)


def margins(items: EmbeddedPairs, result: HeadFit, head: int) -> np.ndarray:
    inputs = build_features(items.prompts[items.prompt_of], items.responses)
    scores = result.heads.score(inputs, head)
    return scores[items.chosen] - scores[items.rejected]


def parts(result: HeadFit, head: int) -> Iterator[np.ndarray]:
    yield from (result.heads.w1[head], result.heads.b1[head], result.heads.w2[head])


@given(st.lists(st.tuples(st.floats(-20, 20), st.floats(0, 1)), min_size=1, max_size=5))
def test_the_loss_is_the_cross_entropy_of_the_label(rows: list[tuple[float, float]]) -> None:
    margin, label = (torch.tensor(column, dtype=torch.float64) for column in zip(*rows, strict=True))
    probability = torch.sigmoid(margin)
    expected = -label * torch.log(probability) - (1 - label) * torch.log(1 - probability)
    assert torch.allclose(soft_bradley_terry(margin, label), expected, atol=1e-6)


def test_the_gradient_of_the_loss_is_its_finite_difference() -> None:
    margin = torch.tensor([-3.0, 0.0, 0.7, 9.0], dtype=torch.float64, requires_grad=True)
    label = torch.tensor([1.0, 0.5, 0.2, 0.9], dtype=torch.float64)
    assert torch.autograd.gradcheck(soft_bradley_terry, (margin, label))
    soft_bradley_terry(margin, label).sum().backward()
    assert margin.grad is not None
    assert torch.allclose(margin.grad, torch.sigmoid(margin.detach()) - label)


def test_margins_and_labels_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shapes .* differ"):
        soft_bradley_terry(torch.zeros(4), torch.zeros(4, 1))


def test_the_same_input_gives_the_same_bits_on_any_number_of_threads() -> None:
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(trained(make_items()))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    for one, other in zip(parts(results[0], 1), parts(results[1], 1), strict=True):
        assert np.array_equal(one, other)
    assert results[0].held_out_loss == results[1].held_out_loss


def test_every_head_learns_what_the_others_have_not_seen() -> None:
    items = make_items(300)
    result = trained(items, replace(SETTINGS, epochs=25))
    for head in range(SETTINGS.folds):
        assert (margins(items, result, head)[items.fold == head] > 0).mean() > 0.8
    assert result.held_out_loss[-1] < result.held_out_loss[0] < np.log(2) + 0.01


def test_labels_of_a_fold_do_not_reach_its_own_head() -> None:
    items, settings = make_items(), replace(SETTINGS, epochs=1)
    flipped = replace(items, p_chosen=np.where(items.fold == 1, 0.0, 1.0))
    honest, poisoned = trained(items, settings), trained(flipped, settings)
    for one, other in zip(parts(honest, 1), parts(poisoned, 1), strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(honest.heads.w1[0], poisoned.heads.w1[0])
    assert not np.array_equal(honest.heads.w1[3], poisoned.heads.w1[3])


def test_a_label_of_one_half_says_nothing_and_a_weight_of_zero_is_no_pair() -> None:
    items = make_items()
    undecided = trained(replace(items, p_chosen=np.full(60, 0.5)), replace(SETTINGS, epochs=20))
    assert np.abs(margins(items, undecided, 3)).mean() < np.abs(margins(items, trained(items), 3)).mean() / 4
    ignored = np.arange(60) % 4 == 0
    weight = np.where(ignored, 0.0, 1.0)
    one = trained(replace(items, weight=weight))
    other = trained(replace(items, weight=weight, p_chosen=np.where(ignored, 0.0, 1.0)))
    assert np.array_equal(one.heads.w2, other.heads.w2)


def test_training_ends_when_held_out_loss_stops_falling() -> None:
    items, rng = make_items(), np.random.default_rng(3)
    noise = replace(items, p_chosen=rng.integers(0, 2, 60).astype(float))
    result = trained(noise, replace(SETTINGS, epochs=200, patience=3, learning_rate=0.03))
    assert len(result.held_out_loss) < 60
    assert result.epochs[-1] == int(np.argmin(result.held_out_loss)) + 1
    assert max(result.epochs) <= len(result.held_out_loss)


def test_a_last_batch_of_one_pair_is_trained_on() -> None:
    items = make_items(SETTINGS.batch * 2 + 1)
    assert np.isfinite(trained(items).held_out_loss).all()
