"""What a run of the judges may spend, and what it has spent."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Budget:
    """`max_cost` in the currency of the engines' prices, `max_tokens` read and written; None: no limit.

    A chunk is not begun if it is expected to break a limit, going by what the judge's questions have taken so far
    (`expect` for its first chunk), so a run ends at or just below its limits. `refusal`: why the last chunk that was
    refused was, or "".
    """

    max_cost: float | None = None
    max_tokens: int | None = None
    cost: float = 0.0
    tokens: int = 0
    refusal: str = ""
    _by_judge: dict[str, tuple[int, int, float]] = field(default_factory=dict)  # questions, tokens, cost
    _began: float = field(default_factory=time.monotonic)

    @property
    def limited(self) -> bool:
        return self.max_cost is not None or self.max_tokens is not None

    def knows(self, judge: str) -> bool:
        """Whether it has seen what a question of this judge takes."""
        return judge in self._by_judge

    def expect(self, judge: str, questions: int, tokens: int, cost: float) -> None:
        """What so many questions of a judge should take, before any has been asked."""
        self._by_judge.setdefault(judge, (questions, tokens, cost))

    def refuses(self, judge: str, questions: int) -> str:
        """Why so many more questions must not be asked; empty if they may."""
        found = self._objection(judge, questions)
        self.refusal = found or self.refusal
        return found

    def _objection(self, judge: str, questions: int) -> str:
        seen, tokens, cost = self._by_judge.get(judge, (0, 0, 0.0))
        share = questions / seen if seen else 0.0
        if self.max_cost is not None and self._over(self.cost, cost * share, self.max_cost):
            return (
                f"stopped before it would cost more than max_cost {self.max_cost:g} ({self.cost:.4g} spent)"
            )
        if self.max_tokens is not None and self._over(self.tokens, tokens * share, self.max_tokens):
            return f"stopped before it would take more than max_tokens {self.max_tokens:,} ({self.tokens:,} taken)"
        return ""

    def spend(self, judge: str, questions: int, tokens: int, cost: float) -> None:
        self.cost += cost
        self.tokens += tokens
        seen = self._by_judge.get(judge, (0, 0, 0.0))
        self._by_judge[judge] = (seen[0] + questions, seen[1] + tokens, seen[2] + cost)

    @property
    def note(self) -> str:
        """For the progress bar: speed and cost so far."""
        seconds = max(time.monotonic() - self._began, 1e-9)
        speed = f"{self.tokens / seconds:,.0f} tokens/s" if self.tokens else ""
        return " · ".join(filter(None, [speed, f"cost {self.cost:.2f}" if self.cost else ""]))

    @staticmethod
    def _over(spent: float, expected: float, limit: float) -> bool:
        """A judge that costs nothing is asked whatever has been spent."""
        return expected > 0 and spent + expected > limit
