"""From data to a loss: groups, rows, steps, and that neither order nor company nor packing changes anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from curate.config.train import LossSection
from curate.data.conversation import Conversation, render_text
from curate.data.preference_pairs import get_question, read_pairs
from curate.engine.base import Failure
from curate.engine.local.reward_head import HeadShape
from curate.reward.model import RewardModel
from curate.reward.tokens import EncodedResponses
from curate.train import losses, objective
from curate.train.batches import build_batch, count_group_tokens, group_into_steps, pack_rows
from curate.train.examples import PromptGroup, build_groups, is_held_out
from curate.train.loop import compute_learning_rate
from tests.reward.test_packed_model import backbone
from tests.train.samples import pair_rows, ranking_rows, settings, written

KINDS: list[dict[str, Any]] = [
    {"kind": "bradley-terry", "smoothing": 0.1},
    {"kind": "bradley-terry", "confidence_scale": 2.0},
    {"kind": "margin"},
    {"kind": "ties"},
    {"kind": "best"},
    {"kind": "ranking"},
]


def encode(
    context: Conversation, responses: Sequence[Conversation], tools: str | None
) -> EncodedResponses | Failure:
    """Bytes as tokens of the tiny backbone; whoever is asked about 3 cannot be written."""
    texts = [get_question(context), *map(render_text, responses)]
    if "3" in texts[0]:
        return Failure("no three")
    ids = [tuple(1 + byte % 95 for byte in text.encode()[:9]) for text in texts]
    return EncodedResponses(ids[0], tuple(ids[1:]))


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> tuple[PromptGroup, ...]:
    folder = written(tmp_path_factory.mktemp("data"), [*ranking_rows(12), *pair_rows(12, seed=1)])
    return build_groups(read_pairs(folder), encode).groups


def test_pairs_of_a_prompt_are_one_group_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    data = [
        {"prompt": "1", "chosen": "a", "rejected": "b", "confidence": 0.8, "strength": 2.5},
        {"prompt": "1", "chosen": "a", "rejected": "c"},
        {"prompt": "1", "chosen": "c", "rejected": "b", "weight": 0},
        {"prompt": "3", "chosen": "a", "rejected": "c"},
        {"prompt": "2", "chosen": "same start A", "rejected": "same start B"},
    ]
    found = build_groups(read_pairs(written(tmp_path, data)), encode)
    assert found.dropped == {"no three": 1, "equal after truncation": 1, "weight is 0": 1}
    (group,) = found.groups
    assert len(group) == 3
    assert [(int(a), int(b)) for a, b in zip(group.first, group.second, strict=True)] == [(0, 1), (0, 2)]
    assert group.p.tolist() == [0.8, 1.0]
    assert group.strength.tolist() == pytest.approx([2.5, math.log(99)])
    assert group.rank.tolist() == [1, 2, 2]  # by net wins


def test_a_ranking_keeps_its_ranks_and_its_ties(tmp_path: Path) -> None:
    row = {"prompt": "q", "responses": ["w", "x", "y", "z"], "rankings": [2, 1, 2, 3]}
    (group,) = build_groups(read_pairs(written(tmp_path, [row])), encode).groups
    assert group.rank.tolist() == [2, 1, 2, 3]
    assert group.tied.tolist() == [[0, 2]]
    assert len(group.first) == 5


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(20, 80), st.integers(0, 5))
def test_every_group_is_in_one_row_of_one_step(tokens: list[int], most: int, seed: int) -> None:
    packed = pack_rows(tokens, most=most, generator=np.random.default_rng(seed))
    assert sorted(each for row in packed for each in row) == list(range(len(tokens)))
    assert all(len(row) == 1 or sum(tokens[each] for each in row) <= most for row in packed)
    assert packed == pack_rows(tokens, most=most, generator=np.random.default_rng(seed))
    made = group_into_steps(packed, tokens, least=2 * most)
    assert [row for step in made for row in step] == packed
    filled = [sum(tokens[each] for row in step for each in row) for step in made]
    assert all(each >= 2 * most for each in filled[:-1])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_packing_and_company_change_neither_loss_nor_gradient(
    kind: dict[str, Any], groups: tuple[PromptGroup, ...]
) -> None:
    loss = LossSection(**kind)
    model = RewardModel.add_head(backbone())
    results = []
    for packed in (
        pack_rows(count_group_tokens(groups), most=1 << 20),
        pack_rows(count_group_tokens(groups), most=60),
        pack_rows(count_group_tokens(groups), most=1),
    ):
        model.zero_grad()
        total, weight, correct = 0.0, 0.0, 0.0
        for row in packed:
            part = [groups[each] for each in row]
            batch = build_batch(part)
            value = objective.compute_loss(batch.scatter_scores(model(batch)), part, loss, model.shape)
            assert value.weight == pytest.approx(sum(objective.weigh_group(each, loss) for each in part))
            value.loss.backward()  # type: ignore[no-untyped-call]
            total, weight, correct = total + value.loss.item(), weight + value.weight, correct + value.correct
        gradient = torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None])
        results.append((total / weight, correct, gradient / weight))
    for other in results[1:]:
        assert other[0] == pytest.approx(results[0][0], abs=1e-5)
        assert other[1] == pytest.approx(results[0][1])
        assert (other[2] - results[0][2]).abs().max() < 1e-4 * results[0][2].abs().max()
    assert float(results[0][2].abs().max()) > 0


def test_terms_add_to_the_loss_and_have_gradients(groups: tuple[PromptGroup, ...]) -> None:
    part = groups[:6]
    batch = build_batch(part)
    outputs = torch.randn(len(batch.prompt), 1, generator=torch.Generator().manual_seed(0)) * 6
    plain = objective.compute_loss(batch.scatter_scores(outputs), part, LossSection(), HeadShape()).loss
    for term in ("centre", "prior", "length_invariance"):
        given_outputs = outputs.clone().requires_grad_()
        loss = LossSection(**{term: 0.5})
        value = objective.compute_loss(batch.scatter_scores(given_outputs), part, loss, HeadShape()).loss
        assert value.item() > plain.item(), term
        value.backward()  # type: ignore[no-untyped-call]
        assert given_outputs.grad is not None
        assert torch.isfinite(given_outputs.grad).all()


def test_aspects_are_learnt_where_they_are_labelled_and_their_mean_from_the_overall_label(
    tmp_path: Path,
) -> None:
    data = [
        {"prompt": "1", "chosen": "a", "rejected": "b", "aspects": {"kind": 0.2, "true": None, "new": 1}},
        {"prompt": "2", "chosen": "a", "rejected": "b", "weight": 3, "aspects": {"true": 1}},
        {"prompt": "4", "chosen": "a", "rejected": "b"},
        {"prompt": "5", "chosen": "a", "rejected": "b", "aspects": {"true": 1.5}},
    ]
    pairs = read_pairs(written(tmp_path, data))
    assert pairs.dropped == {"wrong value": 1}
    part = build_groups(pairs, encode, aspects=("true", "kind")).groups
    assert np.isnan(part[2].aspects).all()
    shape = HeadShape(output="aspects", aspects=("true", "kind"), weights=(3.0, 1.0))
    outputs = torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    value = objective.compute_loss(outputs, part, LossSection(), shape)

    gap = outputs[:, 0] - outputs[:, 1]  # [prompt, aspect]
    overall = torch.nn.functional.softplus(-(gap @ torch.tensor([0.75, 0.25])))
    true = torch.nn.functional.softplus(-gap[1, 0])
    kind = 0.2 * torch.nn.functional.softplus(-gap[0, 1]) + 0.8 * torch.nn.functional.softplus(gap[0, 1])
    expected = overall @ torch.tensor([1.0, 3.0, 1.0]) + (3 * true + kind) / 2
    assert value.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert value.weight == 5.0
    apart = [
        objective.compute_loss(outputs[at : at + 1], part[at : at + 1], LossSection(), shape)
        for at in range(3)
    ]
    assert sum(each.loss.item() for each in apart) == pytest.approx(expected.item(), rel=1e-5)


def test_gradients_reach_every_adapter_and_no_frozen_weight(groups: tuple[PromptGroup, ...]) -> None:
    from curate.config.train import LoraSection
    from curate.train.adapters import add_adapters

    model = add_adapters(RewardModel.add_head(backbone()), LoraSection(rank=2))
    for _ in range(2):  # half of an adapter starts at zero, and keeps the other half still for one step
        batch = build_batch(groups[:3])
        objective.compute_loss(
            batch.scatter_scores(model(batch)), groups[:3], LossSection(), model.shape
        ).loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for each in model.parameters():
                if each.grad is not None:
                    each -= 0.1 * each.grad
    trained = {name: each for name, each in model.named_parameters() if each.requires_grad}
    assert sum("lora_" in name for name in trained) == 2 * 7 * 3  # 7 matrices in each of 3 layers
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in trained.values())
    assert all(each.grad is None for each in model.parameters() if not each.requires_grad)


def test_gradients_reach_separators_and_head_of_a_joint_row(groups: tuple[PromptGroup, ...]) -> None:
    model = RewardModel.add_head(backbone(), HeadShape("mlp", 8))
    batch = build_batch(groups[:2], separator=(96,), seed=3)
    value = objective.compute_loss(
        batch.scatter_scores(model(batch)), groups[:2], LossSection(kind="best"), model.shape
    )
    value.loss.backward()  # type: ignore[no-untyped-call]
    assert model.backbone.embed_tokens.weight.grad[96].abs().sum() > 0
    assert model.head.first.weight.grad.abs().sum() > 0


def test_a_prompt_is_always_on_the_same_side() -> None:
    ids = [f"prompt {number}" for number in range(2000)]
    sides = [is_held_out(each, 0.1) for each in ids]
    assert 0.07 < sum(sides) / len(sides) < 0.13
    assert all(is_held_out(each, 0.3) for each, side in zip(ids, sides, strict=True) if side)


def test_the_learning_rate_rises_and_falls() -> None:
    section = settings(Path("m"), learning_rate=1.0, warmup=0.2)
    rates = [compute_learning_rate(step, 20, section) for step in range(20)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[12] == pytest.approx(0.5)
    constant = section.model_copy(update={"schedule": "constant"})
    assert compute_learning_rate(19, 20, constant) == 1.0


def test_of_a_share_of_the_pairs_the_easiest_are_learnt_from(tmp_path: Path) -> None:
    found = build_groups(read_pairs(written(tmp_path, pair_rows(7, seed=1))), encode).groups
    outputs = torch.zeros(len(found), 2, 1)
    outputs[:, 0, 0] = torch.arange(len(found)).float()  # the first ones are hardly told apart
    outputs.requires_grad_()
    shape = RewardModel.add_head(backbone()).shape
    value = objective.compute_loss(outputs, found, LossSection(), shape, share=0.4)
    value.loss.backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    right = [int(group.first[0] == 0) for group in found]  # where the one with the score above 0 was chosen
    lead = torch.tensor([at if first else -at for at, first in enumerate(right)], dtype=torch.float32)
    wanted = losses.soft_bradley_terry(lead, torch.full_like(lead, 0.9)).argsort()[:3]
    moved = outputs.grad.abs().sum(dim=(1, 2)).nonzero().flatten()
    assert sorted(moved.tolist()) == sorted(wanted.tolist())
    whole = objective.compute_loss(outputs, found, LossSection(), shape)
    assert (value.weight, value.pairs, value.correct) == (whole.weight, whole.pairs, whole.correct)
    assert value.loss < whole.loss
