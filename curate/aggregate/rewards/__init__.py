"""Several reward models as one: combined scores, how strong a preference is, which pairs to trust.

Plain functions over arrays of scores, R responses or Q pairs by M reward models, with NaN where a model gave none:

    scale = fit_scale(scores, prompt)                        # a common scale for models of any
    reward = combine(scale(scores, prompt), "mean-sd")       # one cautious reward per response
    strength = preference_strength(margins, trained)         # of labelled pairs, by models that never saw them
    fused = fuse_rewards(votes, scores, names, section)      # what `aggregate.rewards` does: one annotator, one vote
    treated = treat_by_quantile(strength, flip=0.1, drop=0.1, soften=0.1)
"""

from curate.aggregate.rewards.combine import COMBINATIONS, combine_rewards
from curate.aggregate.rewards.conflict import measure_agreement, without_conflict
from curate.aggregate.rewards.consistency import Consistency, ranking_consistency
from curate.aggregate.rewards.fused import Fused, fuse_rewards
from curate.aggregate.rewards.scale import Scale, fit_scale, fit_temperatures
from curate.aggregate.rewards.strength import Strength, folds_by_prompt, preference_strength
from curate.aggregate.rewards.treatment import Treatment, treat_by_posterior, treat_by_quantile

__all__ = [
    "COMBINATIONS",
    "Consistency",
    "Fused",
    "Scale",
    "Strength",
    "Treatment",
    "combine_rewards",
    "fit_scale",
    "fit_temperatures",
    "folds_by_prompt",
    "fuse_rewards",
    "measure_agreement",
    "preference_strength",
    "ranking_consistency",
    "treat_by_posterior",
    "treat_by_quantile",
    "without_conflict",
]
