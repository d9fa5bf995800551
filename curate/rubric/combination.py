"""Criteria and a reward model together: what each says of pairs, and what one adds to the other.

Both give a margin for each pair, made without its label: criteria those of `predict_held_out`, the model its scores (a
head of `curate train` on embeddings scores the prompts of its training by the head that has not seen them). A logistic
regression of two weights, fitted to the other folds, makes one margin of the two (stacking, Wolpert 1992).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curate.core.errors import CurateError
from curate.core.progress import Track, no_progress
from curate.data.conversation import text_answer, text_message
from curate.reward.scorer import EmbeddingScorer, PromptResponses, RewardScorer, open_reward_model
from curate.rubric.labelled import LabelledPairs
from curate.rubric.selection import PairMatrix, SelectionOptions, split_folds
from curate.rubric.sparse import fit_dense
from curate.rubric.wording import format_estimate
from curate.stats.accuracy import MeanEstimate, credit_pairs, estimate_mean

Float64 = NDArray[np.float64]

_RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class Combination:
    """Accuracy of a reward model, of criteria, and of both together, on pairs that none of them was fitted to.

    Attributes:
        model: Name of the reward model.
        trained_on: Prompts of its training among those of the pairs, each scored by a head that has not seen it; None:
            nobody knows what the model has seen.
        prompts: Prompts of the pairs.
        unread: Pairs of which the model could not read a response; both are even there.
        accuracy: `model`, `criteria` and `both` → share of the pairs that it gets right.
        gain: That of both over `model` and over `criteria`, on the same pairs.
        weights: Log-odds for a typical margin (root mean square) of `criteria` and of `model`, fitted to all pairs.
    """

    model: str
    trained_on: int | None
    prompts: int
    unread: int
    accuracy: dict[str, MeanEstimate]
    gain: dict[str, MeanEstimate]
    weights: dict[str, float]


def combine_with_model(
    pairs: LabelledPairs,
    rows: PairMatrix,
    margin: Float64,
    model: str,
    options: SelectionOptions,
    *,
    track: Track = no_progress,
) -> Combination:
    """Score pairs with a reward model, and measure what criteria add to it.

    Args:
        pairs: Labelled pairs.
        rows: The same pairs as rows of differences.
        margin: float64[n] log-odds that the chosen response is better, by criteria fitted to other folds.
        model: Folder, `pypi:PACKAGE` or hub id of a reward model.
        options: Folds and resamples.
        track: Shows progress.

    Raises:
        CurateError: The model cannot be opened, or all pairs are ties.
    """
    decided = rows.p_chosen != 0.5
    if not decided.any():
        raise CurateError("All pairs are ties: nothing says what criteria add to a reward model.")
    scorer = open_reward_model(model, folder=Path.cwd(), where="--model")
    scored = score_pairs(pairs, scorer, track=track)
    both, weights = stack_margins(np.stack([margin, np.nan_to_num(scored)], axis=1), rows, options)
    sign = np.sign(rows.p_chosen[decided] - 0.5)
    credit = {
        name: credit_pairs(values[decided] * sign)
        for name, values in {"model": np.nan_to_num(scored), "criteria": margin, "both": both}.items()
    }
    cluster = rows.cluster[decided]
    gain = {name: credit["both"] - credit[name] for name in ("model", "criteria")}
    accuracy, over = (
        {name: estimate_mean(values, cluster, resamples=options.resamples) for name, values in listed.items()}
        for listed in (credit, gain)
    )
    return Combination(
        model=model,
        trained_on=_count_trained_on(pairs, scorer),
        prompts=len(set(pairs.prompt.tolist())),
        unread=int(np.isnan(scored).sum()),
        accuracy=accuracy,
        gain=over,
        weights=dict(zip(("criteria", "model"), weights.tolist(), strict=True)),
    )


def _count_trained_on(pairs: LabelledPairs, scorer: RewardScorer) -> int | None:
    if not isinstance(scorer, EmbeddingScorer):
        return None
    model = scorer.reward_model
    heads = model.find_heads([pairs.prompt_ids[prompt] for prompt in set(pairs.prompt.tolist())])
    return int((heads < model.description.folds).sum())


def score_pairs(pairs: LabelledPairs, scorer: RewardScorer, *, track: Track = no_progress) -> Float64:
    """Return float64[n]: by how much more the model scores the chosen response of each pair.

    Not a number where it cannot read a response.
    """
    contexts = pairs.contexts or tuple((text_message("user", text),) for text in pairs.prompts)
    answers = pairs.conversations or tuple(map(text_answer, pairs.responses))
    of_prompt: dict[int, list[int]] = {}
    for response in np.union1d(pairs.chosen, pairs.rejected).tolist():
        of_prompt.setdefault(int(pairs.prompt_of[response]), []).append(response)
    requests = [
        PromptResponses(
            contexts[prompt],
            tuple(answers[response] for response in own),
            pairs.prompt_ids[prompt],
            pairs.tools[prompt] if pairs.tools else None,
        )
        for prompt, own in of_prompt.items()
    ]
    scores = np.full(len(pairs.responses), np.nan)
    for own, values in zip(of_prompt.values(), scorer.score(requests, track=track), strict=True):
        scores[own] = values
    return np.asarray(scores[pairs.chosen] - scores[pairs.rejected], np.float64)


def stack_margins(
    margins: Float64, rows: PairMatrix, options: SelectionOptions
) -> tuple[Float64, NDArray[np.float64]]:
    """Return float64[n], one margin by weights of the other folds, and float64[2], the weights fitted to all pairs.

    Args:
        margins: float64[n, 2] margins of two sources.
        rows: Labels, weights and clusters of the n pairs.
        options: Folds and seed.
    """
    stacked = np.zeros(len(margins))
    for held_out in split_folds(rows.cluster, options.folds, options.seed):
        scale, weights = _fit_weights(margins[~held_out], rows.take_rows(~held_out))
        stacked[held_out] = (margins[held_out] / scale) @ weights
    return stacked, _fit_weights(margins, rows)[1]


def _fit_weights(margins: Float64, rows: PairMatrix) -> tuple[Float64, Float64]:
    scale = np.sqrt((margins**2).mean(axis=0))
    scale[scale == 0.0] = 1.0
    return scale, fit_dense(margins / scale, rows.p_chosen, rows.weight, ridge=_RIDGE)


def list_combination_findings(combination: Combination) -> list[str]:
    """Say what criteria add to a reward model; a warning begins with "Warning"."""
    accuracy, gain = combination.accuracy, combination.gain["model"]
    model, criteria, both = (format_estimate(accuracy[name]) for name in ("model", "criteria", "both"))
    weights = combination.weights
    sentences = [
        f"The reward model {combination.model} gets {model} of these pairs right, criteria {criteria}, both {both}.",
        f"The criteria add {format_estimate(gain, signed=True)} to the model.",
        f"Log-odds of a typical margin: of the model {weights['model']:+.2f}, of criteria {weights['criteria']:+.2f}.",
    ]
    if gain.low is None or gain.low <= 0.0:
        sentences.append("Warning: it has not been shown that the criteria add anything to the reward model.")
    if combination.trained_on is not None:
        sentences.append(
            f"The model was trained on {combination.trained_on:,} of the {combination.prompts:,} prompts; each of them "
            "is scored by a head that has not seen it."
        )
    else:
        sentences.append(
            "Warning: nothing says whether the reward model was trained on these pairs; if it was, its figure is too "
            "good, and criteria count too little beside it."
        )
    if combination.unread:
        sentences.append(
            f"Warning: the model could not read a response of {combination.unread:,} pairs; it says nothing there."
        )
    return sentences
