"""A filter of one's own: responses that shout. Named in curate.yaml, beside this file:

filter:
  - {kind: "./filter.py:Shouting", name: shouting}
"""

from __future__ import annotations

from pydantic import Field

from curate.filter import TextFilter, TextFilterOptions


class ShoutingOptions(TextFilterOptions):
    most: float = Field(0.5, gt=0, le=1, description="Most share of capitals among the letters.")


class Shouting(TextFilter):
    Options = ShoutingOptions
    options: ShoutingOptions

    def find_flaw(self, text: str) -> tuple[str, float | None] | None:
        letters = [character for character in text if character.isalpha()]
        share = sum(character.isupper() for character in letters) / max(len(letters), 1)
        return ("shouts", share) if len(letters) > 10 and share > self.options.most else None
