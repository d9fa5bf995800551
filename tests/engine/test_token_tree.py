"""Token trees hold every sequence, in order, and each token sees exactly what is before it in its sequence."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curate.engine.token_tree import pack_trees

sequences = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=8).map(tuple), max_size=12, unique=True)


@given(sequences, st.integers(1, 40), st.sampled_from([0.0, 0.01, 1.0]))
def test_each_sequence_is_on_one_path(
    given: list[tuple[int, ...]], budget: int, attention_cost: float
) -> None:
    trees = pack_trees(given, budget=budget, attention_cost=attention_cost)
    found = {index: tuple(tree.tokens[path]) for tree in trees for index, path in tree.paths.items()}
    assert found == dict(enumerate(given))
    assert sum(len(tree.paths) for tree in trees) == len(given)
    for tree in trees:
        assert len(tree) <= max(budget, max(map(len, tree.paths.values())))
        for path in tree.paths.values():
            assert tree.depths[path].tolist() == list(range(len(path)))


@given(sequences.filter(bool))
def test_a_token_sees_its_own_beginning_only(given: list[tuple[int, ...]]) -> None:
    for tree in pack_trees(given, budget=1000):
        visible = tree.build_mask()
        for path in tree.paths.values():
            for depth, node in enumerate(path):
                assert np.flatnonzero(visible[node]).tolist() == sorted(path[: depth + 1].tolist())


@given(sequences.filter(bool))
def test_common_beginnings_are_there_once(given: list[tuple[int, ...]]) -> None:
    (tree,) = pack_trees(given, budget=1000)
    beginnings = {sequence[:length] for sequence in given for length in range(1, len(sequence) + 1)}
    assert len(tree) == len(beginnings)


@given(sequences, st.randoms())
def test_the_order_of_requests_does_not_matter(given: list[tuple[int, ...]], random: object) -> None:
    shuffled = list(given)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert [tree.tokens.tolist() for tree in pack_trees(given, budget=10)] == [
        tree.tokens.tolist() for tree in pack_trees(shuffled, budget=10)
    ]


def test_sharing_is_weighed_against_the_larger_square() -> None:
    shared, different = [(1,) * 50 + (2,), (1,) * 50 + (3,)], [(1,) * 50, (2,) * 50]
    assert len(pack_trees(shared, budget=1000, attention_cost=0.01)) == 1
    assert len(pack_trees(different, budget=1000, attention_cost=0.01)) == 2
    assert len(pack_trees(different, budget=1000, attention_cost=0.0)) == 1
