"""Terms to add to a comparison loss; shapes are checked and never broadcast."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from curate.train.losses import centring_penalty

__all__ = ["centring_penalty", "length_invariance", "mean_discrepancy", "prior_constraint"]

BANDWIDTHS = (0.5, 1.0, 2.0, 4.0)  # of score differences, in the units of Bradley–Terry's log-odds


def prior_constraint(margin: Tensor, similarity: Tensor, *, scale: float = 6.0) -> Tensor:
    """Return −log σ(scale / (similarity + 0.001) − margin) of each row.

    The more similar two responses are, the less their scores may differ (PCRM, arXiv 2404.00978, in the form and with
    the scale of its authors' code).

    Args:
        margin: [n], score of the better response minus score of the other.
        similarity: [n] in 0 … 1: PCRM's ratio of the shorter length to the longer, or the angular similarity of two
            texts, 1 − arccos(cosine) / π.
        scale: Margin allowed between responses of similarity 1.
    """
    if margin.shape != similarity.shape or margin.ndim != 1:
        raise ValueError(f"shapes {tuple(margin.shape)} and {tuple(similarity.shape)} differ or are no rows")
    return -functional.logsigmoid(scale / (similarity + 0.001) - margin)


def mean_discrepancy(one: Tensor, other: Tensor, *, bandwidths: Sequence[float] = BANDWIDTHS) -> Tensor:
    """Return the squared maximum mean discrepancy (Gretton et al. 2012, biased) of two samples [n], [m] of scores.

    The kernel is the mean of Gaussian kernels with these bandwidths.
    """
    if one.ndim != 1 or other.ndim != 1 or not len(one) or not len(other):
        raise ValueError(f"samples of shape {tuple(one.shape)} and {tuple(other.shape)} are no rows")

    def kernel(left: Tensor, right: Tensor) -> Tensor:
        distances = (left[:, None] - right[None, :]).square()
        return torch.stack([torch.exp(-distances / (2.0 * width**2)) for width in bandwidths]).mean()

    return kernel(one, one) + kernel(other, other) - 2.0 * kernel(one, other)


def length_invariance(scores: Tensor, lengths: Tensor, *, bins: int = 2) -> Tensor:
    """Return the discrepancy between the scores of neighbouring length bins, summed over the neighbours.

    Rewards that are counterfactually invariant to length have the same distribution at every length (Wang et al.
    2025, arXiv 2501.09620).

    Args:
        scores: [n].
        lengths: [n], characters of the responses.
        bins: Number of bins, which are quantiles of length; the result is 0 where there are fewer rows.
    """
    if scores.shape != lengths.shape or scores.ndim != 1:
        raise ValueError(f"shapes {tuple(scores.shape)} and {tuple(lengths.shape)} differ or are no rows")
    if len(scores) < bins:
        return scores.sum() * 0.0
    parts = torch.tensor_split(scores[torch.argsort(lengths, stable=True)], bins)
    return torch.stack([mean_discrepancy(one, other) for one, other in itertools.pairwise(parts)]).sum()
