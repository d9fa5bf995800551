"""Several reward models as one annotator: a common scale, one combined reward, pairs on which the models disagree.

Plain functions over arrays of scores, R responses by M reward models, with NaN where a model gave none:

    scale = fit_scale(scores, prompt)                            # a common scale for all models
    reward = combine_rewards(scale(scores, prompt), "mean-sd")   # one cautious reward per response
    fused = fuse_rewards(votes, scores, names, section)          # what `aggregate.rewards` does: one vote per pair
"""

from curate.aggregate.rewards.combine import COMBINATIONS, combine_rewards
from curate.aggregate.rewards.conflict import measure_agreement, select_agreeing_pairs
from curate.aggregate.rewards.fused import Fused, fuse_rewards
from curate.aggregate.rewards.scale import Scale, fit_scale

__all__ = [
    "COMBINATIONS",
    "Fused",
    "Scale",
    "combine_rewards",
    "fit_scale",
    "fuse_rewards",
    "measure_agreement",
    "select_agreeing_pairs",
]
