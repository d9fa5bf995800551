"""The contract of an annotator model: it reads the votes and estimates every pair and every annotator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from curate.core.section import Section

if TYPE_CHECKING:  # these import numba, which takes a second
    from curate.aggregate.annotators.pairs import PairLabels
    from curate.aggregate.annotators.result import AnnotatorFit
    from curate.aggregate.votes import Votes


class AnnotatorModel(ABC):
    """A model of `aggregate.annotator_model`.

    It must be deterministic: the same votes give the same fit. `build_pair_table` groups the votes by pair, and
    `build_fit` makes an `AnnotatorFit` from the probabilities of the pairs; see `annotators/majority.py`.

    Attributes:
        Options: What curate.yaml can set beside the name of the model.
    """

    Options: ClassVar[type[Section]] = Section

    def __init__(self, options: Any = None) -> None:
        self.options: Any = self.Options() if options is None else options

    @abstractmethod
    def fit(self, votes: Votes, *, labels: PairLabels | None = None) -> AnnotatorFit:
        """Estimate which response of each pair is better, and how reliable each annotator is.

        Args:
            votes: The votes of judges, and of people where `votes.human` is set. A person's vote is a label.
            labels: More labels of people, given as pairs. The stage gives none: its labels are votes.

        Returns:
            One row for each pair with a vote or a label, in ascending order of (a, b); `p_a` of a pair that people
            judged follows their labels.
        """
