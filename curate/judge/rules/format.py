"""Format: the share of a request's countable constraints that a response keeps (`curate.data.prompt_constraints`).

Constraints come from the last user turn, and each is checked by itself.
"""

from __future__ import annotations

from curate.data.prompt_constraints import find_constraints
from curate.judge.base import PromptItem
from curate.judge.rules.base import Rule
from curate.records import plain_text


class FormatRule(Rule):
    """The score is the share of the request's constraints that the response keeps; none if we know no constraint."""

    reads_final = True

    def score_response(self, item: PromptItem, text: str) -> float | None:
        user = [turn for turn in item.messages if turn.role == "user"]
        results = [holds(text) for holds in find_constraints(plain_text(user[-1].content))] if user else []
        return sum(results) / len(results) if results else None
