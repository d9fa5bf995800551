"""Texts in other languages than those that are wanted, by py3langid (naive Bayes over byte n-grams, 97 languages)."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import Field

from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.filter.base import TextFilter, TextFilterOptions

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_MOST = 4000  # characters that are looked at
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]+\$|https?://\S+", re.S)
_NO_LANGUAGE = "zxx"


class LanguageOptions(TextFilterOptions):
    """Options of `language`."""

    languages: list[str] = Field(
        min_length=1, description="Languages that stay, as ISO 639 codes: en, de, zh."
    )
    confidence: float = Field(
        0.7, gt=0, le=1, description="Least probability of the language that is found; below it a text stays."
    )
    least: int = Field(
        20, ge=1, description="Characters that a text must have beside code, formulas and addresses."
    )


class Language(TextFilter):
    """Leave out texts in other languages. What is short, code or not clear stays."""

    Options = LanguageOptions
    options: LanguageOptions

    def find_flaw(self, text: str) -> tuple[str, float | None] | None:
        prose = " ".join(_CODE.sub(" ", text).split())[:_MOST]
        if len(prose) < self.options.least and (prose.isascii() or len(prose) < self.options.least // 3):
            return None  # signs of Chinese, Japanese or Korean say more than a letter
        language, confidence = self._identifier.classify(prose)
        if language in {*self.options.languages, _NO_LANGUAGE} or confidence < self.options.confidence:
            return None
        return f"is in another language: {language}", float(confidence)

    @cached_property
    def _identifier(self) -> LanguageIdentifier:
        require_extra("language", "py3langid", purpose=f"The filter {self.options.name}")
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        unknown = sorted(set(self.options.languages) - set(identifier.labels))
        if unknown:
            raise CurateError(
                f"The filter {self.options.name} knows no language {', '.join(unknown)}: write ISO 639 codes, such as "
                "en, de, fr, zh."
            )
        return identifier
