"""Gain from the trained reward model in a panel without labels of people: how well left-out judges are foretold.

Each judge in turn is left out, and its votes on a pair are foretold by the share of the other judges' votes, with the
model's vote among them and without. The model has not been trained on the prompts that it judges, so a gain is more
than memory; habits that it has learnt from the panel still count in its favour, which people's labels would show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.aggregate.votes import Float64, Int64, Votes


@dataclass(frozen=True, slots=True)
class ModelGain:
    """Gain in log-likelihood of a left-out judge's vote, in nats: mean over prompts, and its standard error."""

    mean: float
    error: float


def measure_model_gain(votes: Votes, model: str) -> ModelGain | None:
    """Measure what the annotator `model` adds; None where it has not voted, or no other judges have."""
    if model not in votes.annotators:
        return None
    number = votes.annotators.index(model)
    judged = votes.select(~votes.human[votes.annotator])
    keys, pair = np.unique(judged.pair_keys(), return_inverse=True)
    cell, index = np.unique(pair * len(votes.annotators) + judged.annotator, return_inverse=True)
    count = np.bincount(index)
    share = np.bincount(index, judged.p_a) / count  # of each judge's votes on each pair, for a
    owner, judge = cell // len(votes.annotators), cell % len(votes.annotators)
    is_model = judge == number
    own = np.full(len(keys), np.nan)
    own[owner[is_model]] = share[is_model]
    others, left = owner[~is_model], share[~is_model]
    total, size = np.bincount(others, left, len(keys)), np.bincount(others, minlength=len(keys))
    known = ~np.isnan(own[others]) & (
        size[others] > 1
    )  # a vote that another judge and the model can foretell
    others, left = others[known], left[known]
    if not len(others):
        return None
    rest, n = total[others] - left, size[others] - 1
    gain = _score(left, rest + own[others], n + 1) - _score(left, rest, n)
    return _average_by_prompt(gain, votes.offsets, keys[others] // max(votes.n_responses, 1))


def _score(vote: Float64, for_a: Float64, n: Int64) -> Float64:
    """Log-likelihood of votes, by the share of `n` others that are for a, with one vote added on either side."""
    p = (for_a + 1) / (n + 2)
    result: Float64 = vote * np.log(p) + (1 - vote) * np.log1p(-p)
    return result


def _average_by_prompt(gain: Float64, offsets: Int64, response: Int64) -> ModelGain | None:
    prompt = np.searchsorted(offsets, response, side="right") - 1
    _, group = np.unique(prompt, return_inverse=True)
    mean = np.bincount(group, gain) / np.bincount(group)
    if len(mean) < 2:
        return None
    return ModelGain(float(mean.mean()), float(mean.std(ddof=1) / np.sqrt(len(mean))))
