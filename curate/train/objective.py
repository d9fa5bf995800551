"""The training objective: from the model's outputs for the groups of a row to a loss, by the section `loss`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from curate.config.train import LossSection
from curate.engine.local.reward_head import HeadShape, read_score
from curate.train import losses
from curate.train.examples import PromptGroup
from curate.train.regularisers import centring_penalty, length_invariance, prior_constraint

_LIST_LOSSES = {"best", "ranking"}


@dataclass(frozen=True, slots=True)
class LossSums:
    """Sums over a row, so that the rows of a step can be added up whatever groups they hold.

    `loss` is the weighted sum of the comparison losses and terms, with its graph; `weight` the sum to divide it by
    (`weigh_group` of the groups); `correct` the weighted number of pairs in the right order, a tie counting half;
    `pairs` the total weight of the pairs.
    """

    loss: Tensor
    weight: float
    correct: float
    pairs: float


def weigh_group(group: PromptGroup, loss: LossSection) -> float:
    """Return the weight of a group in a step: the sum of its pairs' weights, or their mean for a loss on lists."""
    weights = _weigh_pairs(group, loss)
    return float(weights.mean() if loss.kind in _LIST_LOSSES else weights.sum()) + (
        len(group.tied) if loss.kind == "ties" else 0
    )


def compute_loss(
    outputs: Tensor, groups: Sequence[PromptGroup], loss: LossSection, shape: HeadShape, *, share: float = 1.0
) -> LossSums:
    """Compute the loss of the groups in a row.

    Args:
        outputs: [B, N, K], the head's outputs for B groups; −inf where a group has fewer responses than N.
        groups: The B groups.
        loss: Kind of comparison loss, and weights of the added terms.
        shape: How outputs become a score.
        share: Fraction of the pairs to learn from, those of smallest loss; the others get weight 0.
    """
    if outputs.ndim != 3 or len(outputs) != len(groups):
        raise ValueError(f"outputs of shape {tuple(outputs.shape)} for {len(groups)} groups")
    present = torch.isfinite(outputs[..., 0])
    filled = outputs.masked_fill(~present[..., None], 0.0)
    scores = read_score(filled, shape)
    rows = _PairRows.from_groups(groups, loss, outputs.device)
    margin = scores[rows.prompt, rows.first] - scores[rows.prompt, rows.second]
    weight = sum(weigh_group(group, loss) for group in groups)
    pair_weight = rows.weight
    if share < 1.0:
        rows = replace(rows, weight=rows.weight * _select_easiest(margin.detach(), rows.p, share))
    mean = _compute_comparison_loss(
        loss, filled, scores.masked_fill(~present, float("-inf")), margin, rows, groups
    )
    if shape.output == "aspects":
        mean = mean + _compute_aspect_loss(filled, rows)
    if loss.centre:
        pairs = [scores[rows.prompt, rows.first], scores[rows.prompt, rows.second]]
        mean = mean + loss.centre * centring_penalty(torch.stack(pairs, dim=1))
    if loss.prior:
        lead = torch.where(rows.p < 0.5, -margin, margin)
        penalty = prior_constraint(lead, rows.length_ratio)
        mean = mean + loss.prior * (rows.weight * penalty).sum() / rows.weight.sum()
    if loss.length_invariance:
        lengths = torch.tensor(np.concatenate([group.lengths for group in groups]), device=outputs.device)
        mean = mean + loss.length_invariance * length_invariance(scores[present], lengths.to(scores.dtype))
    right = 0.5 + 0.5 * torch.sign(margin.detach() * (rows.p - 0.5))
    return LossSums(mean * weight, weight, float((right * pair_weight).sum()), float(pair_weight.sum()))


def _select_easiest(margin: Tensor, p_first: Tensor, share: float) -> Tensor:
    """Return 1 for the share of the pairs with the smallest loss (rounded up), 0 for the others."""
    mask = torch.zeros_like(margin)
    easiest_first = losses.soft_bradley_terry(margin, p_first).argsort(stable=True)
    mask[easiest_first[: math.ceil(share * len(easiest_first))]] = 1.0
    return mask


@dataclass(frozen=True, slots=True, kw_only=True)
class _PairRows:
    """The n pairs of all groups: `prompt`, `first`, `second` int64[n] index the scores; the others are float32."""

    prompt: Tensor
    first: Tensor
    second: Tensor
    p: Tensor
    weight: Tensor
    strength: Tensor
    length_ratio: Tensor  # shorter response to longer one
    aspects: Tensor  # [n, K], NaN where the aspect is not labelled

    @classmethod
    def from_groups(cls, groups: Sequence[PromptGroup], loss: LossSection, device: torch.device) -> _PairRows:
        """Join the pairs of the groups, with labels and weights as `loss` takes them."""

        def concatenate(arrays: Sequence[NDArray[Any]], dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.as_tensor(np.concatenate(arrays), dtype=dtype, device=device)

        lengths = [(group.lengths[group.first], group.lengths[group.second]) for group in groups]
        ratios = [np.minimum(*both) / np.maximum(np.maximum(*both), 1.0) for both in lengths]
        prompts = [np.full(len(group.first), number) for number, group in enumerate(groups)]
        return cls(
            prompt=concatenate(prompts, torch.int64),
            first=concatenate([group.first for group in groups], torch.int64),
            second=concatenate([group.second for group in groups], torch.int64),
            p=losses.smooth_labels(concatenate([group.p for group in groups]), loss.smoothing),
            weight=concatenate([_weigh_pairs(group, loss) for group in groups]),
            strength=concatenate([group.strength for group in groups]),
            length_ratio=concatenate(ratios),
            aspects=losses.smooth_labels(concatenate([group.aspects for group in groups]), loss.smoothing),
        )


def _compute_aspect_loss(outputs: Tensor, rows: _PairRows) -> Tensor:
    """Return Bradley and Terry's loss in the labelled aspects, weighted by pair, over all pairs and aspects."""
    margin = outputs[rows.prompt, rows.first] - outputs[rows.prompt, rows.second]  # [n, K]
    known = torch.isfinite(rows.aspects)
    weight = rows.weight[:, None].expand_as(margin)
    if not known.any():
        return margin.sum() * 0.0
    mean = losses.bradley_terry(margin[known], rows.aspects[known], weight=weight[known])
    return mean * weight[known].sum() / weight.sum()


def _weigh_pairs(group: PromptGroup, loss: LossSection) -> NDArray[Any]:
    """Return float64[m]: weights of the group's pairs, raised by confidence where `loss` says so."""
    if not loss.confidence_scale:
        return group.weight
    strength = torch.from_numpy(group.strength)
    scaled = losses.confidence_weight(strength, loss.confidence_scale, loss.confidence_rate).numpy()
    return np.asarray(group.weight * scaled)


def _compute_comparison_loss(
    loss: LossSection,
    outputs: Tensor,
    scores: Tensor,
    margin: Tensor,
    rows: _PairRows,
    groups: Sequence[PromptGroup],
) -> Tensor:
    """Return the mean comparison loss; `scores` [B, N] are −inf where there is no response."""
    match loss.kind:
        case "bradley-terry":
            return losses.bradley_terry(margin, rows.p, weight=rows.weight)
        case "margin":
            lead = rows.strength.clamp(min=0.0)
            return losses.margin_bradley_terry(margin, lead, weight=rows.weight)
        case "ordinal":
            first, second = outputs[rows.prompt, rows.first], outputs[rows.prompt, rows.second]
            return losses.ordinal_pair(first, second, rows.p, weight=rows.weight)
        case "ties":
            return _compute_tie_loss(loss, scores, margin, rows, groups)
    ranks = torch.zeros(scores.shape, dtype=torch.int64, device=scores.device)
    for number, group in enumerate(groups):
        ranks[number, : len(group)] = torch.from_numpy(group.rank)
    weight = torch.tensor([weigh_group(group, loss) for group in groups], device=scores.device)
    if loss.kind == "ranking":
        return losses.plackett_luce(scores, ranks, weight=weight)
    best = ranks == ranks.masked_fill(ranks == 0, 1 << 30).min(dim=1, keepdim=True).values
    target = best / best.sum(dim=1, keepdim=True)
    present = torch.isfinite(scores)
    even = present / present.sum(dim=1, keepdim=True)
    target = (1 - 2 * loss.smoothing) * target + 2 * loss.smoothing * even
    return losses.best_of_n(scores, target, weight=weight)


def _compute_tie_loss(
    loss: LossSection, scores: Tensor, margin: Tensor, rows: _PairRows, groups: Sequence[PromptGroup]
) -> Tensor:
    """Return the mean loss of Rao and Kupper's model on the pairs and on the ties of the data's rankings."""
    ties = np.concatenate(
        [
            np.column_stack([np.full(len(group.tied), number), group.tied])
            for number, group in enumerate(groups)
        ]
    )
    prompt, one, other = torch.from_numpy(ties).to(scores.device).unbind(dim=1)
    tie_margin = scores[prompt, one] - scores[prompt, other]
    decided = torch.where(rows.p < 0.5, -1, torch.where(rows.p > 0.5, 1, 0))
    outcome = torch.cat([decided, torch.zeros_like(prompt)])
    weight = torch.cat([rows.weight, torch.ones_like(tie_margin)])
    tie = torch.tensor(loss.tie, dtype=scores.dtype, device=scores.device)
    return losses.rao_kupper(torch.cat([margin, tie_margin]), outcome, tie, weight=weight)
