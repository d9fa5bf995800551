"""Limits on the cost and the tokens of a run of the judges, and the amounts so far."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Budget:
    """The limits of a run, which several threads may ask at a time.

    `max_cost` in the currency of the prices, `max_tokens` read and written; None: no limit. A chunk is not begun if it
    is expected to break a limit together with those in flight. The expectation is the mean of the judge's questions so
    far, or `set_estimate` for its first chunk. So a run ends at or just below its limits. `refusal`: reason for the
    last refusal, or "".
    """

    max_cost: float | None = None
    max_tokens: int | None = None
    cost: float = 0.0
    tokens: int = 0
    refusal: str = ""
    _by_judge: dict[str, tuple[int, int, float]] = field(default_factory=dict)  # questions, tokens, cost
    _began: float = field(default_factory=time.monotonic)
    _in_flight: dict[str, list[tuple[int, float]]] = field(default_factory=dict)  # by judge: tokens, cost
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def has_limit(self) -> bool:
        return self.max_cost is not None or self.max_tokens is not None

    def has_estimate(self, judge: str) -> bool:
        """Tell whether the amounts of a question of this judge are known."""
        return judge in self._by_judge

    def set_estimate(self, judge: str, questions: int, tokens: int, cost: float) -> None:
        """Set the expected amounts of so many questions of a judge, before any has been asked."""
        self._by_judge.setdefault(judge, (questions, tokens, cost))

    def begin_chunk(self, judge: str, questions: int) -> str:
        """Set aside what so many more questions are expected to take, until `add_spending` or `drop_chunks`.

        Where the limits allow that only without what other judges have set aside, their answers are waited for. Those
        of the judge's own chunks in flight are the caller's to wait for, before it asks again.

        Returns:
            The reason why the questions must not be asked, or not yet; "" if they may.
        """
        with self._changed:
            while (reason := self._explain_excess(judge, questions)) and self._in_flight:
                if judge in self._in_flight:
                    return reason
                self._changed.wait()
            self.refusal = reason or self.refusal
            if not reason:
                self._in_flight.setdefault(judge, []).append(self._expect(judge, questions))
            return reason

    def drop_chunks(self, judge: str) -> None:
        """Take back what was set aside for chunks that have no answers."""
        with self._changed:
            self._in_flight.pop(judge, None)
            self._changed.notify_all()

    def _expect(self, judge: str, questions: int) -> tuple[int, float]:
        seen, tokens, cost = self._by_judge.get(judge, (0, 0, 0.0))
        share = questions / seen if seen else 0.0
        return round(tokens * share), cost * share

    def _explain_excess(self, judge: str, questions: int) -> str:
        tokens, cost = self._expect(judge, questions)
        others = [expected for chunks in self._in_flight.values() for expected in chunks]
        cost_so_far = self.cost + sum(expected for _, expected in others)
        tokens_so_far = self.tokens + sum(expected for expected, _ in others)
        if self.max_cost is not None and self._exceeds_limit(cost_so_far, cost, self.max_cost):
            return (
                f"stopped before it would cost more than max_cost {self.max_cost:g} ({self.cost:.4g} spent)"
            )
        if self.max_tokens is not None and self._exceeds_limit(tokens_so_far, tokens, self.max_tokens):
            return f"stopped before it would take more than max_tokens {self.max_tokens:,} ({self.tokens:,} taken)"
        return ""

    def add_spending(self, judge: str, questions: int, tokens: int, cost: float) -> None:
        """Add what a judge's oldest chunk in flight has taken, in place of what was set aside for it."""
        with self._changed:
            self.cost += cost
            self.tokens += tokens
            seen = self._by_judge.get(judge, (0, 0, 0.0))
            self._by_judge[judge] = (seen[0] + questions, seen[1] + tokens, seen[2] + cost)
            chunks = self._in_flight.pop(judge, [])[1:]
            if chunks:
                self._in_flight[judge] = chunks
            self._changed.notify_all()

    @property
    def progress_note(self) -> str:
        """Return speed and cost so far, for the progress bar."""
        seconds = max(time.monotonic() - self._began, 1e-9)
        speed = f"{self.tokens / seconds:,.0f} tokens/s" if self.tokens else ""
        return " · ".join(filter(None, [speed, f"cost {self.cost:.2f}" if self.cost else ""]))

    @staticmethod
    def _exceeds_limit(spent: float, expected: float, limit: float) -> bool:
        """Tell whether a limit would be passed; a judge that costs nothing never passes it."""
        return expected > 0 and spent + expected > limit
