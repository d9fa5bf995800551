"""The interface of rules: a rule scores a response by something that needs no model.

A rule of your own is one small file beside curate.yaml:

    # exclaims.py
    from curate.judge.rules.base import Rule

    class FewerExclamations(Rule):
        def score_response(self, item, text):
            return -text.count("!")

    # curate.yaml
    judge:
      judges:
        - {name: calm, kind: rule, rule: "./exclaims.py:FewerExclamations"}
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from curate.core.section import Section
from curate.judge.base import CandidateResponse, PromptItem


class Rule(ABC):
    """A rule, made from its options.

    Attributes:
        tie: Difference of scores up to which a pair is even.
        abstains_when_even: An even pair is an abstention instead of a tie.
        reads_final: Of a trajectory, the rule reads the assistant's last message alone, else all that it says.
        Options: Options of the rule in curate.yaml, as `rule: {kind: NAME, OPTION: VALUE}`.
    """

    tie: ClassVar[float] = 0.0
    abstains_when_even: ClassVar[bool] = False
    reads_final: ClassVar[bool] = False
    Options: ClassVar[type[Section]] = Section
    options: Any

    def __init__(self, options: Section | None = None) -> None:
        self.options = self.Options() if options is None else options

    def select_text(self, candidate: CandidateResponse) -> str:
        """Select what the rule reads of a response; never reasoning, calls and results."""
        return candidate.final_text if self.reads_final else candidate.spoken_text

    @abstractmethod
    def score_response(self, item: PromptItem, text: str) -> float | None:
        """Score a response, the higher the better.

        Args:
            item: The prompt with all its responses.
            text: Text of the response.

        Returns:
            The score; None if the rule has nothing to say about the response.
        """
