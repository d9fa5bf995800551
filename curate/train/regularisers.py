"""Terms that are added to a comparison loss, each a mean over its rows; shapes are checked and never broadcast."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from curate.train.losses import centred

__all__ = ["centred", "contrastive", "discrepancy", "length_invariance", "margin_bound", "prior_margin"]

BANDWIDTHS = (0.5, 1.0, 2.0, 4.0)  # of score differences, in the units of Bradley–Terry's log-odds


def prior_margin(ratio: Tensor, similarity: Tensor, most: float) -> Tensor:
    """How far apart the scores of two responses may be, judged without reading them: most · ratio · (1 − similarity).

    `ratio` [n] of the shorter length to the longer, `similarity` [n] of the two texts (cosine, below 0 taken as 0).
    After the prior constraints of PCRM (arXiv 2404.00978): texts that nearly agree cannot differ much in quality,
    and where lengths differ grossly, length must not become the reason.
    """
    if ratio.shape != similarity.shape or ratio.ndim != 1:
        raise ValueError(f"shapes {tuple(ratio.shape)} and {tuple(similarity.shape)} differ or are no rows")
    return most * ratio * (1.0 - similarity.clamp(0.0, 1.0))


def margin_bound(margin: Tensor, bound: Tensor) -> Tensor:
    """Mean squared excess of |margin| [n] over its bound [n]."""
    if margin.shape != bound.shape or margin.ndim != 1 or margin.numel() == 0:
        raise ValueError(f"shapes {tuple(margin.shape)} and {tuple(bound.shape)} differ or are no rows")
    return functional.relu(margin.abs() - bound).square().mean()


def contrastive(one: Tensor, other: Tensor, *, temperature: float = 0.05) -> Tensor:
    """Each row of `one` [n, d] must find its own among `other` [n, d], two views of the same n comparisons.

    SimCSE's term as in Secrets of RLHF II (arXiv 2401.06080): a view is the difference of two hidden states under
    one draw of dropout.
    """
    if one.shape != other.shape or one.ndim != 2 or len(one) == 0:
        raise ValueError(f"shapes {tuple(one.shape)} and {tuple(other.shape)} differ or are no table")
    first, second = functional.normalize(one, dim=1), functional.normalize(other, dim=1)
    logits = first @ second.T / temperature
    return functional.cross_entropy(logits, torch.arange(len(one), device=one.device))


def discrepancy(one: Tensor, other: Tensor, *, bandwidths: Sequence[float] = BANDWIDTHS) -> Tensor:
    """Squared maximum mean discrepancy (Gretton et al. 2012, biased) of two samples [n], [m] of scores.

    The kernel is the mean of Gaussians of these bandwidths.
    """
    if one.ndim != 1 or other.ndim != 1 or not len(one) or not len(other):
        raise ValueError(f"samples of shape {tuple(one.shape)} and {tuple(other.shape)} are no rows")

    def kernel(left: Tensor, right: Tensor) -> Tensor:
        apart = (left[:, None] - right[None, :]).square()
        return torch.stack([torch.exp(-apart / (2.0 * width**2)) for width in bandwidths]).mean()

    return kernel(one, one) + kernel(other, other) - 2.0 * kernel(one, other)


def length_invariance(scores: Tensor, lengths: Tensor, *, bins: int = 2) -> Tensor:
    """Sum over neighbouring bins of length of the discrepancy of their scores, `scores`, `lengths` [n].

    Rewards that are counterfactually invariant to length have the same distribution at every length (Wang et al.
    2025, arXiv 2501.09620). Bins are quantiles; 0 where there are fewer rows than bins.
    """
    if scores.shape != lengths.shape or scores.ndim != 1:
        raise ValueError(f"shapes {tuple(scores.shape)} and {tuple(lengths.shape)} differ or are no rows")
    if len(scores) < bins:
        return scores.sum() * 0.0
    parts = torch.tensor_split(scores[torch.argsort(lengths, stable=True)], bins)
    return torch.stack([discrepancy(one, other) for one, other in itertools.pairwise(parts)]).sum()
