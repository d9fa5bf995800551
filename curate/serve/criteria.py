"""Rewards per criterion beside a model's score: what the features of a rubric measure, in the rubric's weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.core.errors import CurateError
from curate.data.conversation import get_spoken_text
from curate.data.features import FEATURES, Feature, FeatureItem, TextView
from curate.data.preference_pairs import get_question
from curate.data.rubric import Criterion, read_rubric
from curate.serve.grouping import GroupedPrompts

PATHS = ("/score", "/rewards")
"""Paths whose answers have room for them."""


@dataclass(frozen=True, slots=True)
class CriterionRewards:
    """The criteria of a rubric with the features that they measure."""

    criteria: Sequence[tuple[Criterion, Feature]]

    @classmethod
    def load(cls, path: Path) -> CriterionRewards:
        """Read a rubric whose criteria are features: a server of rewards asks no language model.

        Raises:
            CurateError: There is no such rubric, or one of its criteria is no feature.
        """
        criteria = []
        for criterion in read_rubric(path).criteria:
            if criterion.feature is None:
                raise CurateError(
                    f"{path}: the criterion {criterion.name!r} is read by a model, and a reward server measures "
                    "features alone: leave it out (`curate rubric features --write` makes a rubric of features)."
                )
            part = FEATURES.find(criterion.feature, where=f"criteria.{criterion.name}", folder=path.parent)
            criteria.append((criterion, part.type()))
        return cls(tuple(criteria))

    def measure(self, grouped: GroupedPrompts) -> dict[str, list[float | None]]:
        """Return name of a criterion → its reward of each response, in the order of the request.

        The reward is weight · value / scale, as `Rubric.score` counts it; None where a feature says nothing.
        """
        rewards: dict[str, list[float | None]] = {
            criterion.name: [None] * len(grouped.places) for criterion, _ in self.criteria
        }
        places = iter(grouped.places)
        for prompt in grouped.prompts:
            asked = TextView(get_question(prompt.context)) if prompt.context else TextView("")
            for response in prompt.responses:
                place, item = next(places), FeatureItem(asked, TextView(get_spoken_text(response)))
                for criterion, feature in self.criteria:
                    value = feature.measure(item)
                    if value is not None:
                        rewards[criterion.name][place] = criterion.weight * value / (criterion.scale or 1.0)
        return rewards
