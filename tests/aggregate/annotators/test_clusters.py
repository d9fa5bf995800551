from __future__ import annotations

import numpy as np
import pytest

from curate.aggregate.annotators.clusters import find_structure
from curate.aggregate.annotators.pairs import build_pair_table, take_pairs
from curate.aggregate.annotators.result import count_agreement
from curate.aggregate.annotators.vote_patterns import (
    build_vote_patterns,
    find_frequent_annotators,
    measure_moments,
)


def gaussian_opinions(loading, group, pairs, shared, seed=0):
    rng = np.random.default_rng(seed)
    loading, group = np.asarray(loading), np.asarray(group)
    truth = np.where(rng.random(pairs) < 0.5, -1.0, 1.0)
    common = rng.standard_normal((pairs, group.max() + 1))[:, group]
    noise = np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.standard_normal((pairs, len(loading)))
    return truth[:, None] * loading + np.sqrt(1 - loading**2) * noise, truth


def same_partition(x, y):
    return np.array_equal(np.equal.outer(x, x), np.equal.outer(y, y))


@pytest.mark.parametrize("seed", range(3))
def test_groups_that_err_together_are_found_with_their_loadings(seed):
    loading, group = [0.8, 0.7, 0.5, 0.6, 0.4, 0.7, 0.3, 0.6, 0.5], [0, 0, 0, 1, 1, 1, 2, 2, 2]
    opinion, truth = gaussian_opinions(loading, group, 4000, 0.6, seed)
    found = find_structure(measure_moments(opinion, np.ones_like(opinion)))
    assert same_partition(found.cluster, np.array(group))
    np.testing.assert_allclose(found.loading, loading, atol=0.12)
    best = np.linalg.lstsq(opinion, truth, rcond=None)[0]
    score = opinion @ (found.loading / (1 - found.loading**2) * found.discount)
    assert np.mean(np.sign(score) == truth) > np.mean(np.sign(opinion @ best) == truth) - 0.02
    assert not found.divided


def test_independent_judges_are_left_alone():
    opinion, _ = gaussian_opinions([0.3, 0.5, 0.7, 0.8, 0.6], np.arange(5), 2000, 0.0)
    found = find_structure(measure_moments(opinion, np.ones_like(opinion)))
    assert len(np.unique(found.cluster)) == 5
    np.testing.assert_array_equal(found.discount, 1)
    assert not found.divided
    assert found.dissent < 0.1


def test_copies_count_as_about_one():
    opinion, _ = gaussian_opinions([0.5] * 3 + [0.6] * 5, [0, 0, 0, 1, 2, 3, 4, 5], 5000, 0.9)
    found = find_structure(measure_moments(opinion, np.ones_like(opinion)))
    assert found.discount[:3].sum() == pytest.approx(1, abs=0.6)
    np.testing.assert_allclose(found.discount[3:], 1)


def test_two_opinions_across_the_panel_are_noticed():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 500))
    angle = np.linspace(-np.pi / 3, np.pi / 3, 14)
    opinion = np.outer(first, np.cos(angle)) + np.outer(second, np.sin(angle))
    opinion += 0.4 * rng.standard_normal(opinion.shape)
    found = find_structure(measure_moments(opinion, np.ones_like(opinion)))
    assert found.dissent > 0.3 or found.divided


def test_moments_of_shards_add_up(draw_panel):
    votes, _ = draw_panel([0.5, 1.0, 1.5], 90, missing=0.4, tie=0.1)
    table = build_pair_table(votes)
    counted = count_agreement(table)
    columns = find_frequent_annotators(table, counted)
    whole = measure_moments(*build_vote_patterns(table, columns, counted))
    parts = [take_pairs(table, np.arange(40)), take_pairs(table, np.arange(40, table.n_pairs))]
    added = measure_moments(*build_vote_patterns(parts[0], columns, counted)) + measure_moments(
        *build_vote_patterns(parts[1], columns, counted)
    )
    for name in ("product", "square", "both"):
        np.testing.assert_allclose(getattr(whole, name), getattr(added, name))


def test_two_orders_cancel_a_position_bias(make_votes):
    table = build_pair_table(
        make_votes([(0, 1, 0, 1, 1), (0, 1, 0, -1, -1), (2, 3, 0, 1, 1), (2, 3, 0, -1, 1)])
    )
    opinion, count = build_vote_patterns(table, np.array([0]), count_agreement(table))
    np.testing.assert_allclose(opinion[:, 0], [0, 1])
    np.testing.assert_array_equal(count[:, 0], [2, 2])


def test_a_crowd_has_no_regulars(make_votes):
    rows = [(2 * q, 2 * q + 1, q % 50, 1, 1) for q in range(200)]
    table = build_pair_table(make_votes(rows))
    assert len(find_frequent_annotators(table, count_agreement(table))) == 0
