"""Verdicts on criteria beside the labels of pairs: what verification and selection work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from curate.data.rubric import Criterion
from curate.rubric.feature_report import build_matrix
from curate.rubric.labelled import LabelledPairs
from curate.rubric.selection import PairMatrix

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionMatrix:
    """Labelled pairs, and by how much more the chosen response of each satisfies each criterion.

    Attributes:
        pairs: The labelled pairs.
        criteria: The d criteria.
        differences: float64[n, d] chosen less rejected, from -1 to 1 for verdicts; not a number without both verdicts.
        failed: Name of a criterion → verdicts that failed.
        people: Name of a criterion → verdicts of people that the verifier shares, and all that it has too.
    """

    pairs: LabelledPairs
    criteria: tuple[Criterion, ...]
    differences: Float64
    failed: Mapping[str, int] = field(default_factory=dict)
    people: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def rows(self) -> PairMatrix:
        """The pairs as `select_criteria` takes them."""
        return build_matrix(self.pairs, self.differences)

    @property
    def longer(self) -> Float64:
        """float64[n]: by how much longer the chosen response is, as ln(1 + words)."""
        return self.pairs.lengths[self.pairs.chosen] - self.pairs.lengths[self.pairs.rejected]

    @property
    def toward(self) -> Float64:
        """float64[n, d]: the differences toward the better response; 0 where nothing is known or the label is a tie."""
        sign = np.sign(self.pairs.p_chosen - 0.5)
        return np.asarray(np.nan_to_num(self.differences) * sign[:, None], np.float64)


def subtract_verdicts(
    pairs: LabelledPairs, criteria: Sequence[Criterion], satisfied: Mapping[tuple[str, str], float]
) -> Float64:
    """Return float64[n, d]: verdicts on the chosen response less those on the rejected one.

    Args:
        pairs: Labelled pairs.
        criteria: The criteria.
        satisfied: (id of a criterion, id of a response) → probability that it is satisfied.
    """
    values = np.full((len(pairs.responses), len(criteria)), np.nan)
    for column, criterion in enumerate(criteria):
        for row, response in enumerate(pairs.response_ids):
            values[row, column] = satisfied.get((criterion.criterion_id, response), np.nan)
    return np.asarray(values[pairs.chosen] - values[pairs.rejected], np.float64)
