"""Remedies against wrong labels for models that are too large to be cross-fitted.

Linear heads on sentence embeddings take their place: the margin of a head that was not trained on a pair's prompt gives
the probability that the pair's label is right, and `curate.train.noise` turns it into new labels and weights.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np

from curate.config.train import BackboneSection, TrainSection
from curate.core.progress import Track
from curate.data.preference_pairs import PreferencePairs
from curate.engine.local.embeddings import CachedEmbedder
from curate.train.embedded import embed_pairs, score_out_of_fold
from curate.train.examples import is_held_out
from curate.train.linear import fit_linear_heads
from curate.train.noise import estimate_noise, relabel_pairs


def correct_labels(
    pairs: PreferencePairs,
    section: TrainSection,
    backbone: BackboneSection,
    embedder: CachedEmbedder,
    *,
    source: Path,
    track: Track,
) -> tuple[PreferencePairs, float]:
    """Apply the remedy of `section.noise` to the labels of training prompts.

    Held-out prompts keep their labels, and no head learns from them. A curriculum changes no label; it needs the share
    of wrong ones only.

    Args:
        pairs: All pairs, those of held-out prompts included.
        section: Remedy, folds and rate, where it is known.
        backbone: Share of held-out prompts.
        embedder: Sentence-embedding model.
        source: File or folder of the pairs, for error messages.
        track: Makes the progress bars.

    Returns:
        Pairs with new labels and weights, and the share of labels that are taken as wrong.
    """
    method = section.noise.method
    embedded = embed_pairs(pairs, section, embedder, source=source, track=track)
    held_out_prompts = [is_held_out(prompt_id, backbone.held_out) for prompt_id in pairs.prompt_ids]
    held_out = np.array(held_out_prompts)[pairs.prompt]
    embedded = dataclasses.replace(embedded, weight=np.where(held_out, 0.0, pairs.weight))
    with track("judge labels", section.folds + 1) as advance:
        scores = score_out_of_fold(embedded, fit_linear_heads(embedded, section.folds, advance).heads)
    margins = scores[embedded.chosen] - scores[embedded.rejected]
    noise = estimate_noise(margins, pairs.p_chosen, embedded.weight, rate=section.noise.rate)
    if method not in ("flip", "drop", "soften"):
        return pairs, noise.rate
    p, weight = relabel_pairs(pairs.p_chosen, pairs.weight, noise.estimate_correctness(margins), method)
    p, weight = (np.where(held_out, old, new) for old, new in ((pairs.p_chosen, p), (pairs.weight, weight)))
    strength = np.where(
        p == pairs.p_chosen, pairs.strength, math.nan
    )  # a strength belongs to the label it was given with
    return dataclasses.replace(pairs, p_chosen=p, weight=weight, strength=strength), noise.rate
