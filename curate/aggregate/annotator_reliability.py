"""Reliability of people: each person's word counts fully until their answers show that they fail.

On a pair that several people judged, a person's answer is compared with those of the others, each weighed by that
person's own reliability (gold questions are such pairs: people agree on them, and they are asked once more). A person
who is right at rate r agrees with others who are right with probability p at rate r·p + (1 - r)·(1 - p), which gives r
a posterior; its prior is people's own mean rate m, worth ten answers. A person fails where even the upper end of r is
worth less than half of the average:

    w = logit(r₉₅) / logit(m),   1 if w ≥ ½,   never below 0.1

So a person with few answers counts fully, nobody is dropped or turned round, and where each pair has one person's
answer the weights change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.aggregate.votes import Float64, Int64, Votes

LEAST = 0.1
FAILS = 0.5
_PRIOR_ANSWERS = 10.0
_UPPER = 0.95
_RATES = np.linspace(0.01, 0.99, 99)
_ROUNDS = 50
_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class _Answers:
    """One answer per person and pair on which several people took a side: `side` float64[N] is ±1."""

    person: Int64
    pair: Int64
    side: Float64


def estimate_reliability(votes: Votes) -> Float64:
    """Estimate what a vote of each person counts among people, float64[A], in tenths; 1 for judges."""
    weight = np.ones(len(votes.annotators))
    shared = _select_shared_pairs(votes)
    if not len(shared.person):
        return weight
    people, person = np.unique(shared.person, return_inverse=True)
    upper, mean = _fit_error_rates(_Answers(person, shared.pair, shared.side), len(people))
    worth = _compute_logit(upper) / _compute_logit(np.array(mean))
    weight[people] = np.where(worth < FAILS, np.maximum(np.round(worth, 1), LEAST), 1.0)
    return weight


def _select_shared_pairs(votes: Votes) -> _Answers:
    """Select people's answers on pairs where several of them took a side."""
    rows = votes.human_rows
    size = len(votes.annotators)
    pairs, pair_index = np.unique(votes.pair_keys(rows), return_inverse=True)
    cell, answer = np.unique(pair_index.astype(np.int64) * size + votes.annotator[rows], return_inverse=True)
    side = np.sign(np.bincount(answer, votes.outcome[rows].astype(np.float64), minlength=len(cell)))
    person, pair = cell % max(size, 1), cell // max(size, 1)
    several = np.bincount(pair[side != 0], minlength=len(pairs)) > 1
    is_shared = (side != 0) & several[pair]
    return _Answers(person[is_shared], pair[is_shared], side[is_shared])


def _fit_error_rates(answers: _Answers, size: int) -> tuple[Float64, float]:
    """Fit the people's rates of right answers: the upper ends, float64[P], and the mean rate."""
    rate, mean = np.full(size, 0.8), 0.8
    given = np.bincount(answers.person, minlength=size)
    for _ in range(_ROUNDS):
        posterior = _compute_posterior(answers, rate, mean, size)
        moved = posterior @ _RATES
        done = float(np.max(np.abs(moved - rate))) < _TOLERANCE
        rate = moved
        mean = float(np.clip(np.average(rate, weights=given), 0.6, 0.95))
        if done:
            break
    upper = _RATES[np.argmax(np.cumsum(posterior, axis=1) >= _UPPER, axis=1)]
    return upper, mean


def _compute_posterior(answers: _Answers, rate: Float64, mean: float, size: int) -> Float64:
    """Compute the posterior of each person's rate given the others' rates, float64[P, 99] over `_RATES`."""
    log_odds = _compute_logit(rate)[answers.person] * answers.side
    others = np.bincount(answers.pair, log_odds)[answers.pair] - log_odds
    right = 1.0 / (1.0 + np.exp(-others * answers.side))  # that the answer is right, by the others
    prior = _PRIOR_ANSWERS * (mean * np.log(_RATES) + (1.0 - mean) * np.log1p(-_RATES))
    score = np.stack(
        [
            np.bincount(answers.person, np.log(r * right + (1.0 - r) * (1.0 - right)), minlength=size)
            for r in _RATES
        ],
        axis=1,
    )
    score += prior
    posterior = np.exp(score - score.max(axis=1, keepdims=True))
    result: Float64 = posterior / posterior.sum(axis=1, keepdims=True)
    return result


def _compute_logit(p: Float64) -> Float64:
    result: Float64 = np.log(p) - np.log1p(-p)
    return result
