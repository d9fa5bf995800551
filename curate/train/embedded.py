"""Sentence embeddings of preference pairs, and the scores of cross-fitted heads on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curate.config.project import Config
from curate.config.train import TrainSection
from curate.core.errors import CurateError
from curate.core.progress import Track
from curate.data.preference_pairs import PreferencePairs
from curate.engine.local.embeddings import CachedEmbedder
from curate.reward.embedding_reward import Heads, assign_fold, build_features

if TYPE_CHECKING:  # it imports torch, which recognising a finished training does not need
    from curate.train.batched_heads import EmbeddedPairs

Float64 = NDArray[np.float64]


def make_embedder(config: Config, section: TrainSection) -> CachedEmbedder:
    """Return the embedder of the section `train`, whose cache is in the workspace."""
    return CachedEmbedder(
        config.model_name(section.embedder), cache=config.resolve(config.workspace) / "embeddings"
    )


def embed_pairs(
    pairs: PreferencePairs, section: TrainSection, embedder: CachedEmbedder, *, source: object, track: Track
) -> EmbeddedPairs:
    """Embed prompts and responses, and assign prompts to cross-fitting folds.

    Args:
        pairs: R responses to P prompts, n pairs of them.
        section: Number of folds.
        embedder: Sentence-embedding model.
        source: File or folder of the pairs, for the error message.
        track: Makes the progress bars.

    Raises:
        CurateError: There are too few prompts for the folds.
    """
    from curate.train.batched_heads import EmbeddedPairs

    folds = np.array([assign_fold(prompt_id, section.folds) for prompt_id in pairs.prompt_ids], np.int64)
    if len(np.unique(folds)) < section.folds:
        raise CurateError(
            f"{source} has only {len(pairs.prompt_ids)} prompts, too few for {section.folds} cross-fitting folds: "
            "add prompts, or lower train.folds."
        )
    return EmbeddedPairs(
        prompts=embedder.embed(pairs.questions, track=track),
        responses=embedder.embed(pairs.texts, track=track),
        prompt_of=pairs.prompt_of,
        chosen=pairs.chosen,
        rejected=pairs.rejected,
        p_chosen=pairs.p_chosen,
        weight=pairs.weight,
        fold=folds[pairs.prompt],
        response_fold=folds[pairs.prompt_of],
    )


def score_out_of_fold(pairs: EmbeddedPairs, heads: Heads) -> Float64:
    """Return float64[R]: the score of each response by the head that was not trained on its prompt."""
    scores = np.empty(len(pairs.responses))
    for fold in np.unique(pairs.response_fold):
        rows = pairs.response_fold == fold
        inputs = build_features(pairs.prompts[pairs.prompt_of[rows]], pairs.responses[rows])
        scores[rows] = heads.score(inputs, int(fold))
    return scores
