"""Votes of several reward models fused into one annotator, and the pairs on which the models contradict each other.

Reward models trained on much the same data err together. As one annotator they have one vote, and the combined reward
decides it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.rewards.combine import combine_rewards
from curate.aggregate.rewards.conflict import select_agreeing_pairs
from curate.aggregate.rewards.scale import fit_scale
from curate.aggregate.votes import Float64, Int64, Votes
from curate.config.aggregate import RewardsSection

NAME = "reward ensemble"
_GOOD = 0.85
"""Reference reward of a logical AND: what few responses of a prompt exceed (Wang et al. 2024)."""


@dataclass(frozen=True, slots=True)
class Fused:
    """Votes with `NAME` as their last annotator.

    `conflicting` int64[C]: pairs as a · responses + b, ascending; `unrated`: models that rated nothing.
    """

    votes: Votes
    conflicting: Int64
    unrated: tuple[str, ...] = ()


def fuse_rewards(votes: Votes, scores: Float64, models: list[str], section: RewardsSection) -> Fused:
    """Put one vote for the votes of `models` on every pair that any of them rated.

    `scores` float64[R, M] of the responses, NaN where a model gave none. Models that rated nothing keep their votes.
    """
    rated: NDArray[np.bool_] = np.asarray((~np.isnan(scores)).any(axis=0), np.bool_)
    silent = tuple(name for name, some in zip(models, rated, strict=True) if not some)
    present = [name for name, some in zip(models, rated, strict=True) if some]
    member = np.isin(np.array(votes.annotators, dtype=object), present)
    theirs = member[votes.annotator] if len(votes) else np.zeros(0, np.bool_)
    if not theirs.any():
        return Fused(votes, np.zeros(0, np.int64), silent)
    prompt = np.repeat(np.arange(votes.n_prompts, dtype=np.int32), np.diff(votes.offsets))
    scale = fit_scale(scores[:, rated], prompt, quantile=_GOOD if section.combine == "log-sigmoid" else 0.5)
    scaled = scale(scores[:, rated], prompt)
    reward = combine_rewards(scaled, section.combine, risk=section.risk)
    width = votes.n_responses
    pair = np.unique(votes.pair_keys(theirs))
    a, b = pair // width, pair % width
    margin = reward[a] - reward[b]
    fused_votes = {
        "prompt": prompt[a],
        "a": a,
        "b": b,
        "annotator": np.full(len(pair), len(votes.annotators)),
        "shown": np.zeros(len(pair)),
        "outcome": np.sign(margin),
        "p_a": 1.0 / (1.0 + np.exp(-np.clip(margin, -50, 50))),
    }
    columns = {
        name: np.concatenate([getattr(votes, name)[~theirs], new]) for name, new in fused_votes.items()
    }
    order = np.argsort(columns["prompt"], kind="stable")
    together = replace(
        votes,
        **{name: column[order].astype(getattr(votes, name).dtype) for name, column in columns.items()},
        annotators=(*votes.annotators, NAME if NAME not in votes.annotators else f"{NAME} (reward-model)"),
        human=np.append(votes.human, False),
    )
    conflicting = pair[:0]
    if section.agreement is not None:
        conflicting = pair[~select_agreeing_pairs(scaled[a] - scaled[b], least=section.agreement)]
    return Fused(together, conflicting, silent)
