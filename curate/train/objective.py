"""What is minimised: from the model's outputs for some prompts to a loss, by the settings `loss`."""

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

_LISTS = {"best", "ranking"}


@dataclass(frozen=True, slots=True)
class LossSums:
    """Sums over a row, so that rows of any make-up add to a step: `loss` (with a graph) and what it is made of.

    `loss` is the weighted sum of the comparison losses and terms, `weight` what to divide by (`weight_of` of the
    groups), `correct` the weighted number of pairs in the right order (ties a half), `pairs` their total weight.
    """

    loss: Tensor
    weight: float
    correct: float
    pairs: float


def weigh_group(group: PromptGroup, loss: LossSection) -> float:
    """Of a group in a step: what its pairs weigh, or the mean of it for a loss on lists."""
    weights = _weigh_pairs(group, loss)
    return float(weights.mean() if loss.kind in _LISTS else weights.sum()) + (
        len(group.tied) if loss.kind == "ties" else 0
    )


def compute_loss(
    outputs: Tensor, groups: Sequence[PromptGroup], loss: LossSection, shape: HeadShape, *, share: float = 1.0
) -> LossSums:
    """`outputs` [B, N, K] of B groups, −inf where a group has fewer responses than N.

    `share`: of the pairs, those of smallest loss, which are learnt from; the others weigh nothing.
    """
    if outputs.ndim != 3 or len(outputs) != len(groups):
        raise ValueError(f"outputs of shape {tuple(outputs.shape)} for {len(groups)} groups")
    present = torch.isfinite(outputs[..., 0])
    safe = outputs.masked_fill(~present[..., None], 0.0)
    scores = read_score(safe, shape)
    rows = _PairRows.of(groups, loss, outputs.device)
    margin = scores[rows.prompt, rows.first] - scores[rows.prompt, rows.second]
    weight = sum(weigh_group(group, loss) for group in groups)
    all_pairs = rows.weight
    if share < 1.0:
        rows = replace(rows, weight=rows.weight * _select_easiest(margin.detach(), rows.p, share))
    mean = _compute_comparison_loss(
        loss, safe, scores.masked_fill(~present, float("-inf")), margin, rows, groups
    )
    if shape.output == "aspects":
        mean = mean + _compute_aspect_loss(safe, rows)
    if loss.centre:
        pairs = [scores[rows.prompt, rows.first], scores[rows.prompt, rows.second]]
        mean = mean + loss.centre * centring_penalty(torch.stack(pairs, dim=1))
    if loss.prior:
        lead = torch.where(rows.p < 0.5, -margin, margin)
        bounded = prior_constraint(lead, rows.ratio)
        mean = mean + loss.prior * (rows.weight * bounded).sum() / rows.weight.sum()
    if loss.length_invariance:
        lengths = torch.tensor(np.concatenate([group.lengths for group in groups]), device=outputs.device)
        mean = mean + loss.length_invariance * length_invariance(scores[present], lengths.to(scores.dtype))
    right = 0.5 + 0.5 * torch.sign(margin.detach() * (rows.p - 0.5))
    return LossSums(mean * weight, weight, float((right * all_pairs).sum()), float(all_pairs.sum()))


def _select_easiest(margin: Tensor, p_first: Tensor, share: float) -> Tensor:
    """1 for the share of smallest loss (rounded up), 0 for the others."""
    kept = torch.zeros_like(margin)
    easy = losses.soft_bradley_terry(margin, p_first).argsort(stable=True)
    kept[easy[: math.ceil(share * len(easy))]] = 1.0
    return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class _PairRows:
    """The pairs of all groups: int64[n] of slots and prompts, float32[n] of what is known of them."""

    prompt: Tensor
    first: Tensor
    second: Tensor
    p: Tensor
    weight: Tensor
    strength: Tensor
    ratio: Tensor
    aspects: Tensor  # [n, K], not a number where nobody said

    @classmethod
    def of(cls, groups: Sequence[PromptGroup], loss: LossSection, device: torch.device) -> _PairRows:
        def joined(parts: Sequence[NDArray[Any]], dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.as_tensor(np.concatenate(parts), dtype=dtype, device=device)

        sides = [(group.lengths[group.first], group.lengths[group.second]) for group in groups]
        ratios = [np.minimum(*both) / np.maximum(np.maximum(*both), 1.0) for both in sides]
        numbers = [np.full(len(group.first), at) for at, group in enumerate(groups)]
        return cls(
            prompt=joined(numbers, torch.int64),
            first=joined([group.first for group in groups], torch.int64),
            second=joined([group.second for group in groups], torch.int64),
            p=losses.smooth_labels(joined([group.p for group in groups]), loss.smoothing),
            weight=joined([_weigh_pairs(group, loss) for group in groups]),
            strength=joined([group.strength for group in groups]),
            ratio=joined(ratios),
            aspects=losses.smooth_labels(joined([group.aspects for group in groups]), loss.smoothing),
        )


def _compute_aspect_loss(outputs: Tensor, rows: _PairRows) -> Tensor:
    """Bradley and Terry's loss in each aspect that is labelled, by what the pairs weigh, over all pairs and aspects."""
    margin = outputs[rows.prompt, rows.first] - outputs[rows.prompt, rows.second]  # [n, K]
    known = torch.isfinite(rows.aspects)
    weight = rows.weight[:, None].expand_as(margin)
    if not known.any():
        return margin.sum() * 0.0
    mean = losses.bradley_terry(margin[known], rows.aspects[known], weight=weight[known])
    return mean * weight[known].sum() / weight.sum()


def _weigh_pairs(group: PromptGroup, loss: LossSection) -> NDArray[Any]:
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
    """The mean comparison loss. `scores` [B, N], −inf where there is none."""
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
    for at, group in enumerate(groups):
        ranks[at, : len(group)] = torch.from_numpy(group.rank)
    weight = torch.tensor([weigh_group(group, loss) for group in groups], device=scores.device)
    if loss.kind == "ranking":
        return losses.plackett_luce(scores, ranks, weight=weight)
    best = ranks == ranks.masked_fill(ranks == 0, 1 << 30).min(dim=1, keepdim=True).values
    target = best / best.sum(dim=1, keepdim=True)
    present = torch.isfinite(scores)
    even = present / present.sum(dim=1, keepdim=True)
    return losses.best_of_n(
        scores, (1 - 2 * loss.smoothing) * target + 2 * loss.smoothing * even, weight=weight
    )


def _compute_tie_loss(
    loss: LossSection, scores: Tensor, margin: Tensor, rows: _PairRows, groups: Sequence[PromptGroup]
) -> Tensor:
    tied = np.concatenate(
        [np.column_stack([np.full(len(g.tied), at), g.tied]) for at, g in enumerate(groups)]
    )
    prompt, one, other = torch.from_numpy(tied).to(scores.device).unbind(dim=1)
    level = scores[prompt, one] - scores[prompt, other]
    decided = torch.where(rows.p < 0.5, -1, torch.where(rows.p > 0.5, 1, 0))
    outcome = torch.cat([decided, torch.zeros_like(prompt)])
    weight = torch.cat([rows.weight, torch.ones_like(level)])
    tie = torch.tensor(loss.tie, dtype=scores.dtype, device=scores.device)
    return losses.rao_kupper(torch.cat([margin, level]), outcome, tie, weight=weight)
