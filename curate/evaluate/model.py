"""A saved reward model on preference pairs from anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from curate.accuracy import LENGTH, RANDOM, accuracy_by_length
from curate.engine.embedding_reward import EmbeddingReward
from curate.errors import CurateError
from curate.evaluate.scores import PAIRS, Score
from curate.preference_pairs import read_pairs
from curate.progress import Track


def evaluate_model(
    folder: Path, source: Path, *, resamples: int, cache: Path | None, track: Track
) -> list[Score]:
    """Scores of the model, of length and of random, on all pairs and where the longer or shorter one is chosen.

    Prompts that the model was trained on are scored by the head that has not seen them.
    """
    model = EmbeddingReward.load(folder, cache=cache)
    pairs = read_pairs(source)
    if len(pairs) == 0:
        raise CurateError(f"There is no usable preference pair in {source}.")
    ids = [pairs.prompt_ids[prompt] for prompt in pairs.prompt_of]
    questions = [pairs.questions[prompt] for prompt in pairs.prompt_of]
    subjects = {
        folder.name: model.score(ids, questions, pairs.responses, track=track),
        LENGTH: pairs.lengths.astype(np.float64),
        RANDOM: np.zeros(len(pairs.responses)),
    }
    return [
        Score(subject, PAIRS, estimate, subset)
        for subject, scores in subjects.items()
        for subset, estimate in accuracy_by_length(pairs, scores, resamples=resamples).items()
    ]
