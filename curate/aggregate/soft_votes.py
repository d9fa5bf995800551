"""Probabilities of judges as votes: a vote for a of probability p puts p of its weight on a, and the rest on b.

Judges differ in what they mean by .9. Where people have labelled pairs that a judge voted on, its probabilities are
calibrated by a temperature of its own (Guo et al. 2017), whose prior holds it near 1: without labels the probabilities
count as the judge gave them. With `aggregate.vote: hard`, the verdicts alone count.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.calibration import fit_temperature
from curate.aggregate.human_votes import People
from curate.aggregate.votes import Float32, Float64, Votes

_NEAREST = np.float32(1e-3)
"""A judge's probabilities are calibrated no nearer to 0 and 1: what lies beyond is the rounding of its engine."""


def find_graded_annotators(votes: Votes) -> NDArray[np.bool_]:
    """Mark the judges that gave a probability other than 0, ½ and 1, bool[A]."""
    graded = np.zeros(len(votes.annotators), np.bool_)
    rows = np.flatnonzero((votes.p_a != 0) & (votes.p_a != 1) & (votes.p_a != np.float32(0.5)))
    graded[votes.annotator[rows]] = True
    return graded & ~votes.human


def harden_votes(votes: Votes) -> Votes:
    """Put 1, 0 or ½ in the place of every probability, by the verdict."""
    return replace(votes, p_a=_get_verdicts(votes))


def calibrate_votes(votes: Votes, people: People) -> Votes:
    """Calibrate the probabilities of each judge on the labels of people.

    Args:
        votes: The votes of judges and people; a person's vote counts as a verdict, whatever its probability.
        people: The verdicts of people that may be used.
    """
    graded = find_graded_annotators(votes)
    if not graded.any():
        return votes
    p_a = np.where(votes.human[votes.annotator], _get_verdicts(votes), votes.p_a)
    temperature = _fit_temperatures(votes, people, graded)
    rows = np.flatnonzero(temperature[votes.annotator] != 1)
    if len(rows):
        p = np.clip(p_a[rows], _NEAREST, 1 - _NEAREST).astype(np.float64)
        p_a[rows] = 1 / (1 + np.exp((np.log1p(-p) - np.log(p)) / temperature[votes.annotator[rows]]))
    return replace(votes, p_a=_round_probabilities(p_a))


def _fit_temperatures(votes: Votes, people: People, graded: NDArray[np.bool_]) -> Float64:
    """Fit the temperature of every judge, float64[A]: 1 where it gives no probabilities or people labelled nothing."""
    temperature = np.ones(len(votes.annotators))
    if not len(people):
        return temperature
    keys = votes.pair_keys()
    index = np.minimum(np.searchsorted(people.pairs, keys), len(people.pairs) - 1)
    rows = np.flatnonzero((people.pairs[index] == keys) & graded[votes.annotator])
    target, annotator = (1 + people.verdict[index[rows]]) / 2, votes.annotator[rows]
    p = np.clip(votes.p_a[rows], _NEAREST, 1 - _NEAREST).astype(np.float64)
    for judge in np.unique(annotator):
        own = annotator == judge
        temperature[judge] = fit_temperature(p[own], target[own]).temperature
    return temperature


def _round_probabilities(p_a: Float32) -> Float32:
    """Round to multiples of 2⁻²⁰, so that p and 1 − p are exact mirror images, and opposite votes cancel out."""
    rounded: Float32 = (np.rint(p_a * np.float32(2**20)) * np.float32(2**-20)).astype(np.float32)
    return rounded


def _get_verdicts(votes: Votes) -> Float32:
    verdicts: Float32 = (np.float32(0.5) * (votes.outcome + np.float32(1))).astype(np.float32)
    return verdicts
