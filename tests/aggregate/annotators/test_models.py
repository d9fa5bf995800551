"""All annotator models through their one interface."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from curate.aggregate.annotators import ANNOTATOR_MODELS, fit_model
from curate.aggregate.annotators.davidson import davidson_probabilities
from curate.aggregate.annotators.pairs import PairLabels
from curate.aggregate.annotators.rao_kupper import rao_kupper_probabilities
from curate.config.aggregate import ANNOTATOR_MODEL_NAMES, AggregateSection
from curate.core.errors import CurateError

WITH_ABILITY = ("panel", "one_coin", "two_coin", "glad", "majority")
ITERATIVE = ("one_coin", "two_coin", "glad", "crowd_bt", "davidson", "rao_kupper")


@pytest.mark.parametrize("name", ANNOTATOR_MODEL_NAMES)
def test_every_model_beats_a_coin_and_returns_one_row_a_pair(draw_panel, name):
    votes, truth = draw_panel([0.5, 1.0, 1.5, 2.0, 2.5], 300, tie=0.1, missing=0.3)
    found = fit_model(name, votes)
    assert found.model == name
    assert len(found.p_a) == len(found.a) == len(found.b) == len(found.p_tie) == len(found.n_votes)
    assert np.all((found.p_a >= 0) & (found.p_a <= 1))
    assert found.n.sum() == len(votes)
    assert np.mean(np.sign(found.p_a - 0.5) == truth[found.prompt]) > 0.8


@pytest.mark.parametrize("name", ITERATIVE)
def test_the_objective_never_falls(draw_panel, name):
    votes, _ = draw_panel([-0.5, 0.5, 1.0, 2.0], 200, tie=0.1, missing=0.3)
    found = fit_model(name, votes)
    assert found.converged
    assert len(found.trace) == found.iterations
    assert np.all(np.diff(found.trace) > -1e-6 * abs(found.trace[0]))


@pytest.mark.parametrize("name", WITH_ABILITY)
def test_abilities_are_in_order(draw_panel, name):
    votes, _ = draw_panel([-0.5, 0.5, 1.5, 2.5, 2.5, 2.5], 800)
    ability = fit_model(name, votes).ability
    assert ability[0] < ability[1] < ability[2] < ability[3:].min()


@pytest.mark.parametrize("name", ANNOTATOR_MODEL_NAMES)
def test_labels_win(draw_panel, name):
    votes, truth = draw_panel([1.0, 1.0], 40)
    chosen = np.arange(6, dtype=np.int32)
    outcome = (-truth[:6]).astype(np.int8)
    found = fit_model(name, votes, labels=PairLabels(a=2 * chosen, b=2 * chosen + 1, outcome=outcome))
    assert np.all(np.sign(found.p_a[:6] - 0.5) == outcome)


def test_majority_is_the_share_of_votes(make_votes):
    found = fit_model(
        "majority", make_votes([(0, 1, 0, 1, 1), (0, 1, 1, 1, 0), (0, 1, 2, 1, 1), (2, 3, 0, 1, -1)])
    )
    np.testing.assert_allclose(found.p_a, [5 / 6, 0])
    np.testing.assert_allclose(found.p_tie, [1 / 3, 0])


def naive_one_coin(votes, pairs, steps=200):
    """Dawid and Skene's EM with two loops and no vectors."""
    lean = [np.sign(votes.outcome[votes.prompt == q].sum()) * 0.8 for q in range(pairs)]
    log_odds = [0.0] * pairs
    for _ in range(steps):
        weight = {}
        for j in range(len(votes.annotators)):
            right, n = 1.0, 2.0
            for v in np.flatnonzero((votes.annotator == j) & (votes.outcome != 0)):
                right += (1 + votes.outcome[v] * lean[votes.prompt[v]]) / 2
                n += 1
            weight[j] = np.log(right / n) - np.log(1 - right / n)
        log_odds = [0.0] * pairs
        for v in range(len(votes)):
            log_odds[votes.prompt[v]] += votes.outcome[v] * weight[votes.annotator[v]]
        lean = [np.tanh(x / 2) for x in log_odds]
    return 1 / (1 + np.exp(-np.array(log_odds)))


def test_one_coin_agrees_with_a_naive_one(draw_panel):
    votes, _ = draw_panel([0.2, 1.0, 2.0], 25, tie=0.2)
    np.testing.assert_allclose(fit_model("one_coin", votes).p_a, naive_one_coin(votes, 25), atol=1e-3)


def test_two_coin_finds_the_position_bias(draw_panel):
    votes, _ = draw_panel([1.5, 1.5, 1.5, 1.5], 2000, position=[0.0, 1.0, -1.0, 0.0])
    np.testing.assert_allclose(fit_model("two_coin", votes).position_bias, [0, 1, -1, 0], atol=0.2)


@pytest.mark.parametrize("model", [davidson_probabilities, rao_kupper_probabilities])
def test_tie_models_are_probabilities_with_right_derivatives(model):
    d, tie, step = np.linspace(-6, 6, 13), 0.3, 1e-6
    log_p, by_d, by_tie = model(d, tie)
    np.testing.assert_allclose(sum(np.exp(x) for x in log_p), 1)
    for k in range(3):
        np.testing.assert_allclose(
            by_d[k], (model(d + step, tie)[0][k] - model(d - step, tie)[0][k]) / (2 * step), atol=1e-6
        )
        np.testing.assert_allclose(
            by_tie[k], (model(d, tie + step)[0][k] - model(d, tie - step)[0][k]) / (2 * step), atol=1e-6
        )


def test_an_unknown_model_is_refused(make_votes):
    with pytest.raises(CurateError, match="'oracle', which is no kind of annotator model: known are"):
        fit_model("oracle", make_votes([(0, 1, 0, 1, 1)]))


def test_the_names_of_the_configuration_are_those_of_the_registry():
    assert set(ANNOTATOR_MODEL_NAMES) == set(ANNOTATOR_MODELS.names)


def test_options_are_checked(make_votes):
    votes = make_votes([(0, 1, 0, 1, 1)])
    with pytest.raises(
        CurateError, match=r"unknown key `aggregate\.annotator_model\.step`: did you mean `steps`"
    ):
        fit_model("glad", votes, options={"step": 2})
    assert fit_model("glad", votes, options={"max_iterations": 1}).iterations == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("pannel", "did you mean `panel`"),
        ({"kind": "pannel", "seed": 1}, "did you mean `panel`"),
        ({"seed": 1}, "needs its name as `kind`"),
        ({"kind": "auto", "seed": 1}, "auto has no options"),
    ],
)
def test_a_model_is_checked_when_it_is_read(value, message):
    with pytest.raises(ValueError, match=message):
        AggregateSection(annotator_model=value)


def test_a_name_alone_and_as_a_kind_are_the_same_settings():
    assert AggregateSection(annotator_model={"kind": "glad"}) == AggregateSection(annotator_model="glad")
    section = AggregateSection(annotator_model={"kind": "glad", "steps": 2})
    assert (section.annotator_model_name, section.annotator_model_options) == ("glad", {"steps": 2})


def test_importing_the_package_loads_no_numerical_stack():
    code = (
        "import sys, curate.aggregate, curate.aggregate.annotators; "
        "print([m for m in ('numba', 'scipy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
