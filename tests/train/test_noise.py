"""Wrong labels: found by models that have not seen them, remedied without a way back, learnt around."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from curate.reward.embedding_reward import Heads, build_features
from curate.train.batched_heads import BatchedHeads, EmbeddedPairs, HeadSettings, SmallLossSelection
from curate.train.bradley_terry import fit_mlp_heads
from curate.train.noise import LabelNoise, cross_fit_margins, estimate_noise, relabel_for_heads, relabel_pairs

SETTINGS = HeadSettings(
    hidden=8,
    epochs=12,
    patience=12,
    batch=32,
    learning_rate=1e-2,
    weight_decay=0.01,
    dropout=0.0,
    folds=3,
    seed=0,
)


def make_items(flipped: float, prompts: int = 240, seed: int = 0) -> tuple[EmbeddedPairs, np.ndarray]:
    """Items of which a share of the labels is wrong, and which ones are."""
    rng = np.random.default_rng(seed)

    def unit(*shape: int) -> np.ndarray:
        vectors = rng.standard_normal(shape)
        return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)

    responses, direction = unit(2 * prompts, 6), unit(6)
    better = (responses @ direction).reshape(-1, 2).argmax(axis=1)
    wrong = rng.random(prompts) < flipped
    better = np.where(wrong, 1 - better, better)
    first, fold = 2 * np.arange(prompts), np.arange(prompts) % SETTINGS.folds
    items = EmbeddedPairs(
        prompts=unit(prompts, 6),
        responses=responses,
        prompt_of=np.repeat(np.arange(prompts), 2),
        chosen=first + better,
        rejected=first + 1 - better,
        p_chosen=np.ones(prompts),
        weight=np.ones(prompts),
        fold=fold,
        response_fold=np.repeat(fold, 2),
    )
    return items, wrong


def silent(_: int, note: str = "") -> None:
    pass


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.4])
def test_the_rate_of_flips_is_found_in_margins_of_known_scale(rate: float) -> None:
    rng = np.random.default_rng(1)
    margins = rng.normal(0.0, 2.0, 20_000)
    right = rng.random(20_000) < 1 / (1 + np.exp(-2.0 * margins))  # the first of the pair is the better one
    agree = right != (rng.random(20_000) < rate)
    found = estimate_noise(np.where(agree, margins, -margins), np.ones(20_000), np.ones(20_000))
    assert found.rate == pytest.approx(rate, abs=0.03)
    assert found.scale == pytest.approx(2.0, rel=0.35)
    known = estimate_noise(margins, agree * 1.0, np.ones(20_000), rate=rate)
    assert known.rate == rate


def test_whether_a_label_is_right_is_bayes_rule() -> None:
    noise, margin = LabelNoise(0.3, 2.0), np.array([-1.5, 0.0, 0.7])
    agree = 1 / (1 + np.exp(-2.0 * margin))
    assert noise.estimate_correctness(margin) == pytest.approx(
        0.7 * agree / (0.7 * agree + 0.3 * (1 - agree))
    )
    assert LabelNoise(0.0, 1.0).estimate_correctness(margin) == pytest.approx(1.0)


def test_the_remedies() -> None:
    p, weight, right = np.array([1.0, 0.9, 0.8]), np.ones(3), np.array([0.1, 0.4, 0.75])
    assert relabel_pairs(p, weight, right, "flip")[0].tolist() == pytest.approx([0.0, 0.1, 0.8])
    assert relabel_pairs(p, weight, right, "drop")[1].tolist() == [0.0, 0.0, 1.0]
    assert relabel_pairs(p, weight, right, "soften")[0].tolist() == pytest.approx([0.1, 0.42, 0.65])


def test_flipped_labels_are_found() -> None:
    items, wrong = make_items(0.2, prompts=600)
    labels, noise = relabel_for_heads(items, cross_fit_margins(items, SETTINGS, silent), "flip")
    assert noise[-1].rate == pytest.approx(0.2, abs=0.08)
    flipped = labels.p[-1] < 0.5
    assert flipped[wrong].mean() > 0.7
    assert flipped[~wrong].mean() < 0.1


@pytest.mark.parametrize("remedy", ["flip", "soften"])
def test_no_label_of_a_fold_comes_back_through_the_labels_of_others(remedy: str) -> None:
    items, _ = make_items(0.2)
    mine = items.fold == 1
    p = np.where(mine, 1.0 - items.p_chosen, items.p_chosen)
    weight = np.where(mine, 3.0, items.weight)
    other = dataclasses.replace(items, p_chosen=p, weight=weight)
    one, two = (
        relabel_for_heads(each, cross_fit_margins(each, SETTINGS, silent), remedy, rate=0.2)[0]  # type: ignore[arg-type]
        for each in (items, other)
    )
    assert (one.p[1, ~mine] == two.p[1, ~mine]).all()
    assert (one.p[0, ~mine] != two.p[0, ~mine]).any()


@pytest.mark.parametrize("peer", [True, False])
def test_of_two_models_each_learns_from_what_the_other_or_itself_finds_easy(peer: bool) -> None:
    items, _ = make_items(0.3, prompts=8)
    ones = np.ones((1, 8))
    batched = BatchedHeads(
        items,
        dataclasses.replace(SETTINGS, members=2),
        torch.Generator().manual_seed(0),
        sees=np.array([[True] * 6 + [False] * 2]),
        p=ones,
        weight=ones,
        selection=SmallLossSelection(0.5, peer=peer),
    )
    for _ in range(5):
        batched.run_epoch()  # from here on the share is what was wanted
    loss = torch.tensor([[[9.0, 1, 2, 3, 4, 5, 0, 0]], [[1.0, 2, 3, 4, 5, 9, 0, 0]]])
    kept = batched.select_weights(loss, torch.arange(8)) > 0
    by_first, by_second = [False, *[True] * 3, *[False] * 4], [*[True] * 3, *[False] * 5]
    assert kept[:, 0].tolist() == ([by_second, by_first] if peer else [by_first, by_second])


def test_the_share_falls_to_what_is_wanted() -> None:
    selection = SmallLossSelection(0.6, peer=True)
    shares = [selection.compute_share(epoch) for epoch in range(7)]
    assert shares[0] > shares[3] > 0.6
    assert shares[4:] == pytest.approx([0.6] * 3)


def test_an_ensemble_is_the_members_scores_combined() -> None:
    items, _ = make_items(0.1, prompts=60)
    result = fit_mlp_heads(items, dataclasses.replace(SETTINGS, members=3), silent)
    heads = result.heads
    assert heads.w1.shape == (4, 18, 24)
    inputs = build_features(items.prompts[items.prompt_of], items.responses)[:20]
    each = np.stack(
        [
            Heads(heads.w1[:, :, at], heads.b1[:, at], heads.w2[:, at]).score(inputs, 0)
            for at in (slice(0, 8), slice(8, 16), slice(16, 24))
        ]
    )
    combined = {
        "mean": each.mean(axis=0),
        "min": each.min(axis=0),
        "lower": each.mean(axis=0) - each.std(axis=0),
    }
    for name, expected in combined.items():
        made = dataclasses.replace(heads, combine=name)  # type: ignore[arg-type]
        assert made.score(inputs, 0) == pytest.approx(expected, abs=2e-6)
    assert each.std(axis=0).max() > 0.01
