"""Losses of reward models on noisy preferences, each a mean over its rows.

| argument  | shape  | meaning |
| ---       | ---    | --- |
| `margin`  | [n]    | of pairs: score of the first response minus score of the second |
| `p_first` | [n]    | of pairs: probability that the first response is better |
| `scores`  | [B, N] | of lists: scores of all responses of a prompt, −inf where it has fewer than N |
| `weight`  | [n], [B] | weight of each row in the mean; its scale does not matter; None: all alike |

Shapes are checked and never broadcast: margins [B] against labels [B, 1] would silently compare every pair with every
label. A wrong shape is a ValueError.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def soft_bradley_terry(margin: Tensor, p_first: Tensor) -> Tensor:
    """Return −p log σ(margin) − (1−p) log σ(−margin) of each row (Bradley and Terry 1952, for uncertain labels)."""
    _require_same_shape(margin, p_first)
    return functional.binary_cross_entropy_with_logits(margin, p_first, reduction="none")


def bradley_terry(margin: Tensor, p_first: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Return the mean of `soft_bradley_terry`."""
    _require_same_shape(margin, weight)
    return _average_losses(soft_bradley_terry(margin, p_first), weight)


def smooth_labels(p_first: Tensor, smoothing: float) -> Tensor:
    """Return (1−ε) p + ε (1−p): the labels when a share ε = `smoothing` of them is flipped at random."""
    if not 0.0 <= smoothing < 0.5:
        raise ValueError(f"smoothing must be in [0, ½), not {smoothing}")
    return p_first * (1.0 - 2.0 * smoothing) + smoothing


def margin_bradley_terry(margin: Tensor, strength: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Return the mean of −log σ(margin − strength).

    The better response must lead by the strength [n] of the preference (Llama 2, arXiv 2307.09288).
    """
    _require_same_shape(margin, strength, weight)
    return _average_losses(-functional.logsigmoid(margin - strength), weight)


def rao_kupper(margin: Tensor, outcome: Tensor, tie: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Return the mean loss of Bradley–Terry with ties (Rao and Kupper 1967).

    P(first) = σ(m−η), P(second) = σ(−m−η), P(tie) = (e^{2η}−1) σ(m−η) σ(−m−η). Without the constant e^{2η}−1, the
    tie's term is the one of SoliReward (arXiv 2512.22170).

    Args:
        margin: [n].
        outcome: int[n], +1 the first is better, −1 the second, 0 a tie.
        tie: Scalar η > 0, which may be learnt.
        weight: [n].
    """
    _require_same_shape(margin, outcome, weight)
    if tie.shape != ():
        raise ValueError(f"the tie parameter is a scalar, not {tuple(tie.shape)}")
    first, second = functional.logsigmoid(margin - tie), functional.logsigmoid(-margin - tie)
    both = first + second + torch.log(torch.expm1(2.0 * tie))
    return _average_losses(-torch.where(outcome > 0, first, torch.where(outcome < 0, second, both)), weight)


def best_of_n(scores: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of softmax(scores) against the probability of each response to be the best.

    For two responses it is `bradley_terry`.

    Args:
        scores: [B, N].
        target: [B, N], rows of sum 1; responses that tie for the best share it, absent ones have 0.
        weight: [B].
    """
    _require_same_shape(scores, target)
    _require_table(scores, weight)
    present = torch.isfinite(scores)
    if bool((target[~present] != 0).any()):
        raise ValueError("a response that is not there has a target")
    logs = torch.log_softmax(scores, dim=1)
    return _average_losses(-(target * logs.masked_fill(~present, 0.0)).sum(dim=1), weight)


def plackett_luce(scores: Tensor, rank: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Return the mean negative log-likelihood of a ranking (Plackett 1975; Luce 1959), ties as in Breslow 1974.

    Each response is chosen from those of its own rank or worse; tied ones are all chosen from the same set. For two
    responses and no tie it is `bradley_terry`.

    Args:
        scores: [B, N].
        rank: int[B, N], 1 is the best; ties share a rank.
        weight: [B].
    """
    _require_same_shape(scores, rank)
    _require_table(scores, weight)
    present = torch.isfinite(scores)
    behind = (rank[:, None, :] >= rank[:, :, None]) & present[:, None, :]  # [B, chosen, from]
    # Absent responses choose from anything finite; their terms are dropped below.
    behind = behind | ~present[:, :, None]
    known = scores.masked_fill(~present, 0.0)
    choices = known[:, None, :].expand_as(behind).masked_fill(~behind, -math.inf)
    loss = (torch.logsumexp(choices, dim=2) - known).masked_fill(~present, 0.0)
    return _average_losses(loss.sum(dim=1), weight)


def ordinal_pair(first: Tensor, second: Tensor, p_first: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of P(first's level > second's) + ½ P(equal levels) against `p_first`.

    It compares two ordinal reward distributions that are independent of each other.

    Args:
        first: [n, K], logits of the first response's level.
        second: [n, K], logits of the second response's level.
        p_first: [n].
        weight: [n].
    """
    _require_same_shape(first, second)
    _require_table(first, weight)
    if p_first.shape != first.shape[:1]:
        raise ValueError(f"{tuple(p_first.shape)} labels for {first.shape[0]} rows")
    one, other = torch.softmax(first, dim=1), torch.softmax(second, dim=1)
    # For each level of the first: P(second lower) + ½ P(second equal).
    below = torch.cumsum(other, dim=1) - 0.5 * other
    wins = (one * below).sum(dim=1).clamp(1e-7, 1.0 - 1e-7)
    return _average_losses(-(p_first * wins.log() + (1.0 - p_first) * (-wins).log1p()), weight)


def confidence_weight(strength: Tensor, scale: float, rate: float) -> Tensor:
    """Return 1 + scale · (1 − exp(−rate · |strength|)): surer pairs count more (MM-RLHF, arXiv 2502.10391)."""
    return 1.0 + scale * -torch.expm1(-rate * strength.abs())


def centring_penalty(scores: Tensor) -> Tensor:
    """Return the mean squared sum of a pair's scores [n, 2], to be added to a loss with a small weight.

    Preferences do not determine the level of a prompt's scores; this term holds it near 0 (Eisenstein et al. 2023,
    arXiv 2312.09244).
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
    """Return the mean of `losses`, weighted where there are weights."""
    return losses.mean() if weight is None else (losses * weight).sum() / weight.sum()
