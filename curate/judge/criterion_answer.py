"""Verdicts of judges on single criteria."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MEASURED = "measured"  # revision of verdicts that no model gave
VerdictOutcome = Literal["satisfied", "violated", "abstain", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionAnswer:
    """A verdict on one criterion of one response: a row of `criterion_verdicts`, given now or read from the lake.

    Attributes:
        verdict_id: Id of the question, the same in every run (`curate.records.verdict_id`).
        criterion_id: Id of what the criterion says.
        criterion: Name of the criterion.
        response_id: The response.
        revision: Id of all that can change the verdict, but for criterion and response.
        outcome: Whether the criterion is satisfied.
        p_satisfied: Probability that it is, where the judge gives one.
        value: Value of a measured feature.
        rationale: Reason that the judge wrote.
        raw: Output of the engine, or the reason of a failure.
        tokens_in: Tokens read.
        tokens_out: Tokens written.
        permanent: The question fails each time.
    """

    verdict_id: str
    criterion_id: str
    criterion: str
    response_id: str
    revision: str
    outcome: VerdictOutcome
    p_satisfied: float | None = None
    value: float | None = None
    rationale: str | None = None
    raw: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    permanent: bool = False

    @property
    def satisfaction(self) -> float | None:
        """Return what the criterion counts by: the measured value, the probability, 1 or 0; None without a verdict."""
        if self.outcome not in ("satisfied", "violated"):
            return None
        if self.value is not None:
            return self.value
        return float(self.outcome == "satisfied") if self.p_satisfied is None else self.p_satisfied
