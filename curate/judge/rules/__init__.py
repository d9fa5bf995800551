"""Rules: how good a response is by something that needs no model. One file each; `RULES` has them by name.

A rule gives a response to a item a number, the higher the better, or None where it has nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from curate.judge.base import PromptItem
from curate.judge.rules.format import format_score
from curate.judge.rules.length import length_score
from curate.judge.rules.refusal import refusal_score
from curate.judge.rules.repetition import repetition_score


@dataclass(frozen=True, slots=True)
class Rule:
    """`tie`: the difference of scores up to which a pair is even. An even pair is a tie, or none of the rule's
    business (it abstains).
    """

    score: Callable[[PromptItem, str], float | None]
    tie: float
    abstains_when_even: bool = False


RULES = {
    "format": Rule(format_score, tie=0.0),
    "length": Rule(length_score, tie=0.1),
    "refusal": Rule(refusal_score, tie=0.0, abstains_when_even=True),
    "repetition": Rule(repetition_score, tie=0.1),
}
