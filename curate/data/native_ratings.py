"""The native rows of ratings and rankings made elsewhere, as pydantic models: the contract, and what reads them."""

from __future__ import annotations

from itertools import chain
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from curate.data.native import Key
from curate.records import Kind

Number = Annotated[float, Field(allow_inf_nan=False)]


class _StatedRow(BaseModel):
    """Prompt, annotator and aspect of a statement."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    prompt: Key = Field(description="Id of the prompt in the responses file, or the lake's own.")
    annotator: Key = Field(description="Name of the person, model or rule that says so.")
    kind: Kind
    aspect: Key | None = Field(
        None,
        description="The one criterion that it is about, such as helpfulness; kept apart from what is about all.",
    )
    rationale: str | None = None


class RatingsRow(_StatedRow):
    """A rating of one response; the higher the better."""

    response: Key = Field(description="Id of the response, likewise.")
    score: Number
    score_sd: Annotated[Number, Field(ge=0)] | None = Field(
        None, description="Standard deviation of the rating, where the annotator gives a distribution."
    )

    @property
    def references(self) -> list[str]:
        return [self.response]


class RankingsRow(_StatedRow):
    """An order of two or more responses to one prompt, the best first; ids in one list are tied."""

    ranking: list[Key | Annotated[list[Key], Field(min_length=1)]]

    @property
    def places(self) -> list[list[str]]:
        """The responses of each place."""
        return [[place] if isinstance(place, str) else place for place in self.ranking]

    @property
    def references(self) -> list[str]:
        return list(chain(*self.places))

    @model_validator(mode="after")
    def _orders_several(self) -> Self:
        if len(self.references) < 2:
            raise ValueError("a ranking orders two responses or more")
        if len(set(self.references)) < len(self.references):
            raise ValueError("a response has two places in `ranking`")
        return self
