"""Losses of reward models on noisy preferences, each a mean over its rows.

Shapes are checked and never broadcast: a [B] of margins against a [B, 1] of labels would silently compare every pair
with every label. Pairs: `margin` [n] is the score of the first minus that of the second. Lists: `scores` [B, N], with
−inf where a prompt has fewer responses.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def soft_bradley_terry(margin: Tensor, p_first: Tensor) -> Tensor:
    """−p log σ(margin) − (1−p) log σ(−margin), of each row: Bradley and Terry 1952 with the label's own probability."""
    _require_same_shape(margin, p_first)
    return functional.binary_cross_entropy_with_logits(margin, p_first, reduction="none")


def bradley_terry(margin: Tensor, p_first: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """The mean of `soft_bradley_terry`."""
    _require_same_shape(margin, weight)
    return _average_losses(soft_bradley_terry(margin, p_first), weight)


def smooth_labels(p_first: Tensor, smoothing: float) -> Tensor:
    """Labels when a share `smoothing` of them is flipped at random: (1−ε) p + ε (1−p)."""
    if not 0.0 <= smoothing < 0.5:
        raise ValueError(f"smoothing must be in [0, ½), not {smoothing}")
    return p_first * (1.0 - 2.0 * smoothing) + smoothing


def margin_bradley_terry(margin: Tensor, strength: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """−log σ(margin − strength): the better one must lead by its preference strength (Llama 2, arXiv 2307.09288)."""
    _require_same_shape(margin, strength, weight)
    return _average_losses(-functional.logsigmoid(margin - strength), weight)


def rao_kupper(margin: Tensor, outcome: Tensor, tie: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Bradley–Terry with ties (Rao and Kupper 1967), η = `tie` > 0 (a scalar, which may be learnt).

    P(first) = σ(m−η), P(second) = σ(−m−η), P(tie) = (e^{2η}−1) σ(m−η) σ(−m−η). `outcome` int[n]: +1 first, −1 second,
    0 tie. Without the constant e^{2η}−1 the tie's part is the one of SoliReward (arXiv 2512.22170).
    """
    _require_same_shape(margin, outcome, weight)
    if tie.shape != ():
        raise ValueError(f"the tie parameter is a scalar, not {tuple(tie.shape)}")
    first, second = functional.logsigmoid(margin - tie), functional.logsigmoid(-margin - tie)
    both = first + second + torch.log(torch.expm1(2.0 * tie))
    return _average_losses(-torch.where(outcome > 0, first, torch.where(outcome < 0, second, both)), weight)


def best_of_n(scores: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy of softmax(scores) against the probability `target` [B, N] of each to be the best.

    For two responses it is `bradley_terry`. Ties for the best share the target.
    """
    _require_same_shape(scores, target)
    _require_table(scores, weight)
    present = torch.isfinite(scores)
    if bool((target[~present] != 0).any()):
        raise ValueError("a response that is not there has a target")
    logs = torch.log_softmax(scores, dim=1)
    return _average_losses(-(target * logs.masked_fill(~present, 0.0)).sum(dim=1), weight)


def plackett_luce(scores: Tensor, rank: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Negative log-likelihood of a ranking (Plackett 1975; Luce 1959), ties as in Breslow 1974.

    `rank` int[B, N], 1 the best, ties share a rank. Each response is chosen from those of its rank or worse; tied ones
    are all chosen from the same set. For two responses and no tie it is `bradley_terry`.
    """
    _require_same_shape(scores, rank)
    _require_table(scores, weight)
    present = torch.isfinite(scores)
    behind = (rank[:, None, :] >= rank[:, :, None]) & present[:, None, :]  # [B, chosen, from]
    behind = (
        behind | ~present[:, :, None]
    )  # rows of absent responses: anything finite, they are dropped below
    known = scores.masked_fill(~present, 0.0)
    choices = known[:, None, :].expand_as(behind).masked_fill(~behind, -math.inf)
    loss = (torch.logsumexp(choices, dim=2) - known).masked_fill(~present, 0.0)
    return _average_losses(loss.sum(dim=1), weight)


def ordinal_pair(first: Tensor, second: Tensor, p_first: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy of P(level of the first > that of the second) + ½ P(equal) against `p_first` [n]; logits [n, K].

    The comparison of two ordinal reward distributions, each response's independent of the other's.
    """
    _require_same_shape(first, second)
    _require_table(first, weight)
    if p_first.shape != first.shape[:1]:
        raise ValueError(f"{tuple(p_first.shape)} labels for {first.shape[0]} rows")
    one, other = torch.softmax(first, dim=1), torch.softmax(second, dim=1)
    below = (
        torch.cumsum(other, dim=1) - 0.5 * other
    )  # P(second lower) + ½ P(second equal), per level of the first
    wins = (one * below).sum(dim=1).clamp(1e-7, 1.0 - 1e-7)
    return _average_losses(-(p_first * wins.log() + (1.0 - p_first) * (-wins).log1p()), weight)


def confidence_weight(strength: Tensor, scale: float, rate: float) -> Tensor:
    """1 + scale · (1 − exp(−rate · |strength|)): surer pairs count more (MM-RLHF, arXiv 2502.10391)."""
    return 1.0 + scale * -torch.expm1(-rate * strength.abs())


def centring_penalty(scores: Tensor) -> Tensor:
    """Mean squared sum of a pair's scores [n, 2], to be added with a small weight.

    Preferences leave a prompt's level open; this holds it near 0 (Eisenstein et al. 2023, arXiv 2312.09244).
    """
    if scores.ndim != 2 or scores.shape[1] != 2:
        raise ValueError(f"scores of pairs are [n, 2], not {tuple(scores.shape)}")
    return scores.sum(dim=1).square().mean()


def _require_same_shape(first: Tensor, *others: Tensor | None) -> None:
    if first.numel() == 0:
        raise ValueError("no rows")
    for other in others:
        if other is not None and other.shape != first.shape:
            raise ValueError(f"shapes {tuple(first.shape)} and {tuple(other.shape)} differ")


def _require_table(table: Tensor, weight: Tensor | None) -> None:
    if table.ndim != 2:
        raise ValueError(f"a table [B, N], not {tuple(table.shape)}")
    if weight is not None and weight.shape != table.shape[:1]:
        raise ValueError(f"{tuple(weight.shape)} weights for {table.shape[0]} rows")


def _average_losses(losses: Tensor, weight: Tensor | None) -> Tensor:
    """Weighted by `weight`, whose own scale does not matter."""
    return losses.mean() if weight is None else (losses * weight).sum() / weight.sum()
