"""Preference pairs as sentence embeddings: what heads on them learn from, and what those say of pairs unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curate.config.project import Config
from curate.config.train import TrainSection
from curate.core.errors import CurateError
from curate.core.progress import Track
from curate.data.preference_rows import PreferencePairs
from curate.engine.local.embeddings import CachedEmbedder
from curate.reward.embedding_reward import Heads, assign_fold, build_features

if TYPE_CHECKING:  # torch comes with it, and done work is recognised without
    from curate.train.batched_heads import EmbeddedPairs

Float64 = NDArray[np.float64]


def make_embedder(config: Config, section: TrainSection) -> CachedEmbedder:
    return CachedEmbedder(
        config.model_name(section.embedder), cache=config.resolve(config.workspace) / "embeddings"
    )


def embed_pairs(
    pairs: PreferencePairs, section: TrainSection, embedder: CachedEmbedder, *, source: object, track: Track
) -> EmbeddedPairs:
    """Raises CurateError where the prompts of `source` do not fill the folds."""
    from curate.train.batched_heads import EmbeddedPairs

    folds = np.array([assign_fold(each, section.folds) for each in pairs.prompt_ids], np.int64)
    if len(np.unique(folds)) < section.folds:
        raise CurateError(
            f"{source} has only {len(pairs.prompt_ids)} prompts, too few for {section.folds} cross-fitting folds: "
            "add prompts, or lower train.folds."
        )
    return EmbeddedPairs(
        prompts=embedder.embed(pairs.questions, track=track),
        responses=embedder.embed(pairs.responses, track=track),
        prompt_of=pairs.prompt_of,
        chosen=pairs.chosen,
        rejected=pairs.rejected,
        p_chosen=pairs.p_chosen,
        weight=pairs.weight,
        fold=folds[pairs.prompt],
        response_fold=folds[pairs.prompt_of],
    )


def score_out_of_fold(items: EmbeddedPairs, heads: Heads) -> Float64:
    """float64[R]: the score of each response by the head that has not seen its prompt."""
    scores = np.empty(len(items.responses))
    for fold in np.unique(items.response_fold):
        rows = items.response_fold == fold
        inputs = build_features(items.prompts[items.prompt_of[rows]], items.responses[rows])
        scores[rows] = heads.score(inputs, int(fold))
    return scores
