"""`judge`: the panel."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from curate.core.section import Section

Pairs = Literal["all", "round-robin", "swiss", "active"]


class JudgeSection(Section):
    """The panel. Each judge has a name, a kind, and the options of that kind."""

    judges: list[dict[str, Any]] = Field(default_factory=list)
    chunk: int = Field(64, ge=1, description="Prompts per committed chunk.")
    pairs: Pairs = Field("all", description="Which pairs are compared; each judge may say otherwise.")
    max_pairs: int | None = Field(
        None, ge=1, description="Pairs per prompt, for round-robin, swiss and active; default: N/2·⌈log₂ N⌉."
    )
    max_cost: float | None = Field(
        None, ge=0, description="What one run may spend, in the currency of the engines' prices."
    )
    max_tokens: int | None = Field(
        None, ge=0, description="Tokens, read and written, that one run may spend."
    )

    @model_validator(mode="after")
    def _limit_has_a_rule(self) -> Self:
        if self.max_pairs is not None and self.pairs == "all":
            raise ValueError("`max_pairs` needs `pairs`: say which ones (round-robin, swiss or active)")
        return self

    @field_validator("judges")
    @classmethod
    def _distinct(cls, judges: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = [judge.get("name") for judge in judges]
        for name in names:
            if not isinstance(name, str) or not name:
                raise ValueError("every judge needs a `name`")
            if names.count(name) > 1:
                raise ValueError(f"two judges are called {name!r}")
        return judges
