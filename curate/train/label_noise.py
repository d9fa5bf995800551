"""Wrong labels of training prompts, judged by heads on sentence embeddings, for models too large to be cross-fitted.

A linear head that has not seen a pair's prompt says by how much its chosen response leads; from that follows how
likely the label is right, and `curate.train.noise` says what each remedy makes of it.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np

from curate.config.train import BackboneSection, TrainSection
from curate.core.progress import Track
from curate.data.preference_rows import PreferencePairs
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
    """Pairs with the labels and weights that `section.noise` makes of them, and the share of labels taken as wrong.

    Held-out prompts keep their labels, and teach nothing. A curriculum changes none, and needs the share.
    """
    method = section.noise.method
    items = embed_pairs(pairs, section, embedder, source=source, track=track)
    unseen = np.array([is_held_out(each, backbone.held_out) for each in pairs.prompt_ids])[pairs.prompt]
    items = dataclasses.replace(items, weight=np.where(unseen, 0.0, pairs.weight))
    with track("judge labels", section.folds + 1) as advance:
        scores = score_out_of_fold(items, fit_linear_heads(items, section.folds, advance).heads)
    margins = scores[items.chosen] - scores[items.rejected]
    noise = estimate_noise(margins, pairs.p_chosen, items.weight, rate=section.noise.rate)
    if method not in ("flip", "drop", "soften"):
        return pairs, noise.rate
    p, weight = relabel_pairs(pairs.p_chosen, pairs.weight, noise.right(margins), method)
    p, weight = (np.where(unseen, old, new) for old, new in ((pairs.p_chosen, p), (pairs.weight, weight)))
    strength = np.where(p == pairs.p_chosen, pairs.strength, math.nan)  # what was said of another label
    return dataclasses.replace(pairs, p_chosen=p, weight=weight, strength=strength), noise.rate
