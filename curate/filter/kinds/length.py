"""Texts that are too short or too long."""

from __future__ import annotations

from pydantic import Field

from curate.filter.base import TextFilter, TextFilterOptions


class LengthOptions(TextFilterOptions):
    """Options of `length`."""

    least: int = Field(1, ge=0, description="Fewest characters, blanks at the ends left out.")
    most: int | None = Field(None, ge=1, description="Most characters.")


class Length(TextFilter):
    """Leave out texts that are too short or too long."""

    Options = LengthOptions
    options: LengthOptions

    def find_flaw(self, text: str) -> tuple[str, float | None] | None:
        length = len(text.strip())
        if length < self.options.least:
            return "is too short", float(length)
        if self.options.most is not None and length > self.options.most:
            return "is too long", float(length)
        return None
