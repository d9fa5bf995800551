"""Prefix trees: each beginning stands once, and no score or gradient changes by it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.reward.model import RewardModel
from curate.reward.packing import (
    MarkedSequence,
    pack_jointly,
    pack_separately,
    pack_sequences,
    pack_shared_prefix,
)
from curate.reward.prefix_tree import Segment, build_prefix_tree, count_common
from tests.reward.test_packed_model import FAMILIES, backbone

# Few distinct tokens, so that many beginnings are equal, also whole sequences, and sequences that begin others.
TOKENS = st.lists(st.integers(1, 3), min_size=1, max_size=9)
SEQUENCES = st.lists(TOKENS, min_size=1, max_size=7)
PROMPTS = st.lists(st.tuples(TOKENS, st.lists(TOKENS, min_size=1, max_size=4)), min_size=1, max_size=3)


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest) -> RewardModel:
    return RewardModel.add_head(backbone(request.param)).eval()


@given(SEQUENCES)
def test_every_sequence_stands_in_the_tree_and_nothing_stands_twice(sequences: list[list[int]]) -> None:
    tree = build_prefix_tree(sequences)
    for number, sequence in enumerate(sequences):
        nodes = [tree.find_node(number, depth) for depth in range(len(sequence))]
        assert [tree.tokens[node] for node in nodes] == sequence
        with pytest.raises(IndexError):
            tree.find_node(number, len(sequence))
    beginnings = {tuple(sequence[:end]) for sequence in sequences for end in range(1, len(sequence) + 1)}
    assert len(tree) == len(beginnings)
    assert [segment.start for segment in tree.segments] == [
        0, *(segment.end for segment in tree.segments[:-1])
    ]  # fmt: skip


@given(PROMPTS)
def test_it_has_never_more_tokens_than_each_prompt_s_longest_common_prefix_saves(
    rows: list[tuple[list[int], list[list[int]]]],
) -> None:
    """flash-preference computes the longest common prefix of a prompt's sequences once, and the rest of each."""
    groups = [[[*prompt, *answer] for answer in answers] for prompt, answers in rows]
    theirs = 0
    for group in groups:
        shared = min(count_common(group[0], sequence) for sequence in group)
        theirs += shared + sum(len(sequence) - shared for sequence in group)
    assert len(build_prefix_tree([sequence for group in groups for sequence in group])) <= theirs


def test_the_tree_of_a_trajectory_that_branches() -> None:
    tree = build_prefix_tree([[1, 2, 3, 4], [1, 2, 5], [1, 2, 3, 6], [7]])
    assert tree.tokens == (1, 2, 3, 4, 6, 5, 7)
    assert tree.segments == (
        Segment(0, 2), Segment(2, 1, ((0, 2),)), Segment(3, 1, ((0, 3),)), Segment(4, 1, ((0, 3),)),
        Segment(5, 1, ((0, 2),)), Segment(6, 1),
    )  # fmt: skip
    packed = pack_sequences([MarkedSequence([1, 2, 3], ((1, 0, 0), (3, 0, 1)))])
    assert packed.last.tolist() == [0, 2]


@settings(deadline=None, max_examples=25)
@given(PROMPTS)
def test_scores_are_those_without_sharing(
    model: RewardModel, rows: list[tuple[list[int], list[list[int]]]]
) -> None:
    prompts, responses = [prompt for prompt, _ in rows], [answers for _, answers in rows]
    with torch.no_grad():
        shared, alone = (
            model.score(pack(prompts, responses)) for pack in (pack_shared_prefix, pack_separately)
        )
    assert (shared - alone).abs().max() <= 1e-4


@settings(deadline=None, max_examples=25)
@given(PROMPTS, st.randoms(use_true_random=False))
def test_joint_scores_in_several_orders_are_those_of_each_order_alone(
    model: RewardModel, rows: list[tuple[list[int], list[list[int]]]], rng: Any
) -> None:
    prompts, responses = [prompt for prompt, _ in rows], [answers for _, answers in rows]
    orders = [[rng.sample(range(len(answers)), len(answers)) for _ in range(3)] for answers in responses]
    with torch.no_grad():
        packed = pack_jointly(prompts, responses, [96], orders=orders)
        together = model.score(packed)
        alone = torch.cat(
            [
                model.score(pack_jointly([prompt], [answers], [96], orders=[[order]]))
                for prompt, answers, drawn in zip(prompts, responses, orders, strict=True)
                for order in drawn
            ]
        )
    assert (together - alone).abs().max() <= 1e-4
    assert packed.slot.tolist() == [slot for drawn in orders for order in drawn for slot in order]


def test_gradients_are_those_without_sharing(model: RewardModel) -> None:
    prompts, responses = [[1, 2, 3], [1, 2]], [[[4, 5, 6], [4, 5], [4, 7]], [[8], [8, 9]]]
    weights = torch.tensor([0.3, -1.0, 2.0, 0.7, -0.5])
    gradients = []
    for pack in (pack_shared_prefix, pack_separately):
        model.zero_grad()
        (model.score(pack(prompts, responses)) * weights).sum().backward()  # type: ignore[no-untyped-call]
        gradients.append([each.grad.clone() for each in model.parameters() if each.grad is not None])
    largest = max(float(each.abs().max()) for each in gradients[1])
    for one, other in zip(*gradients, strict=True):
        assert (one - other).abs().max() < 1e-5 * largest
