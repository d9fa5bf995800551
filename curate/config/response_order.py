"""The option `order` of several sections: orders of the responses for a joint model."""

from __future__ import annotations

ORDER_PATTERN = r"one|average:[1-9][0-9]{0,2}|rotations"
ORDER_OPTION = (
    "For a model that was trained with `forward: joint`: one (a random order of the responses, by their content), "
    "average:K (the mean of K orders) or rotations (the mean of all rotations); default: one."
)
