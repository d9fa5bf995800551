"""Transforms of rewards for reinforcement learning: what a policy is given in place of a reward model's raw scores.

Only differences between responses to one prompt mean something in a score, and a policy goes wherever a score has no
bound. Each transform takes the scores of one prompt's responses; NaN (no score) stays NaN and enters no statistic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from curate.core.errors import CurateError

Float64 = NDArray[np.float64]
TransformName = Literal["none", "centre", "normalise", "par"]
_SMALLEST_SD = 1e-6  # below it all responses have one score, and no difference is made out of rounding


@dataclass(frozen=True, slots=True)
class RewardTransform:
    """Rule by which raw scores become rewards: per prompt by `name`, then within `clip`.

    - `centre`: less the mean of the prompt's responses, the baseline of Dr. GRPO (Liu et al. 2025, arXiv:2503.20783).
    - `normalise`: that, divided by the standard deviation, as GRPO does (Shao et al. 2024, arXiv:2402.03300).
    - `par`: preference as reward (Fu et al. 2025, arXiv:2502.18770), the mean of sigmoid(score − reference score). The
      references are what the reward is compared with: `references` where there are any, else the prompt's other
      responses.
    - `clip`: rewards stay between −clip and clip (Zheng et al. 2023, arXiv:2307.04964).
    """

    name: TransformName = "none"
    clip: float | None = None

    @property
    def compares_responses(self) -> bool:
        """Tells whether a reward depends on the other responses to its prompt."""
        return self.name != "none"

    def apply(self, scores: Float64, references: Float64 | None = None) -> Float64:
        """Return the rewards float64[N] of the N responses to one prompt.

        Args:
            scores: float64[N], raw scores.
            references: Scores of reference responses, for `par`.

        Raises:
            CurateError: There is nothing to compare the only response with.
        """
        known = scores[np.isfinite(scores)]
        given = references is not None and len(references) > 0
        if self.compares_responses and len(scores) < 2 and not (self.name == "par" and given):
            raise CurateError(
                f"The transform {self.name} compares the responses to one prompt, and there is only one: give several, "
                "or use no transform but `clip`."
            )
        rewards = scores.astype(np.float64)
        if self.name == "par":
            rewards = _prefer(scores, references if given else None)
        elif self.compares_responses and len(known):
            rewards = scores - known.mean()
            if self.name == "normalise":
                spread = known.std()
                rewards = rewards / spread if spread > _SMALLEST_SD else rewards * 0.0
        return rewards if self.clip is None else np.clip(rewards, -self.clip, self.clip)


def _prefer(scores: Float64, references: Float64 | None) -> Float64:
    """Return the mean probability of each response to be better than the references, or than the others."""
    rewards = np.full(len(scores), np.nan)
    for place, score in enumerate(scores):
        others = np.delete(scores, place) if references is None else references
        others = others[np.isfinite(others)]
        if np.isfinite(score) and len(others):
            rewards[place] = (
                0.5 * (1.0 + np.tanh((score - others) / 2.0))
            ).mean()  # a sigmoid without overflow
    return rewards


def penalise_uncertainty(scores: Float64, penalty: float) -> Float64:
    """Combine the scores of several models: their mean less `penalty` times their variance.

    Uncertainty-weighted optimisation (Coste et al. 2023, arXiv:2310.02743). The models should be of one training, with
    different seeds: their scores are taken as they are.

    Args:
        scores: float64[M, N], scores of N responses by M models.
        penalty: Weight of the variance.

    Returns:
        float64[N]; NaN where a model gives no score.
    """
    if len(scores) < 2 and penalty:
        raise CurateError(
            "An uncertainty penalty needs the scores of at least two models: name a second --model."
        )
    mean: Float64 = scores.mean(axis=0)
    return mean - penalty * scores.var(axis=0) if penalty else mean
