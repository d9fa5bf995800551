"""The interface of features: numbers that are measured of a response, without a model.

A feature of your own is one small file beside curate.yaml, named under `rubric.features` or with `--feature`:

    # shouts.py
    from curate.data.features import Feature

    class Shouts(Feature):
        sentence = "The response shouts."
        more = "shouts more"

        def measure(self, item):
            return item.response.text.count("!")
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

from curate.core.registry import Registry

Family = Literal["length", "format", "style", "content", "fit"]
"""What a feature is about. Of length and format a response can have more without being any better."""

SURFACE: tuple[Family, ...] = ("length", "format")

# Every pattern here takes linear time, whatever the text (tests/core/test_linear_patterns.py).
_IDEOGRAPHS = (
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"  # of scripts that put no space between words
)
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|[^\W{_IDEOGRAPHS}]++(?:['’][^\W{_IDEOGRAPHS}]++)*+")
_SENTENCE_END = re.compile(r"(?<![.!?。！？])[.!?。！？]++(?:[\s\"')\]]++|$)|\n++")
_FENCE = "```"


@dataclass(frozen=True)
class TextView:
    """A text, and what features read of it; each part is worked out once."""

    text: str

    @cached_property
    def prose(self) -> str:
        """The text without fenced blocks of code."""
        if _FENCE not in self.text:
            return self.text
        kept, is_code = [], False
        for line in self.text.split("\n"):
            if line.lstrip().startswith(_FENCE):
                is_code = not is_code
            elif not is_code:
                kept.append(line)
        return "\n".join(kept)

    @cached_property
    def plain(self) -> str:
        """The prose in small letters, with straight apostrophes."""
        return self.prose.replace("’", "'").lower()

    @cached_property
    def words(self) -> list[str]:
        """The words of the prose, in small letters; each ideograph is one."""
        return _WORD.findall(self.plain)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """The distinct words that carry meaning."""
        return frozenset(word for word in self.words if len(word) > 2 and word not in _FUNCTION_WORDS)

    @cached_property
    def sentences(self) -> list[str]:
        """The sentences of the prose; a line of a list is one."""
        return [piece for piece in _SENTENCE_END.split(self.prose) if piece.strip()]

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the prose that are not blank."""
        return [line for line in self.prose.split("\n") if line.strip()]

    def rate(self, pattern: re.Pattern[str]) -> float | None:
        """Return matches in 100 words, as if there were ten more words: one match in three words is no habit."""
        if not self.words:
            return None
        return 100.0 * sum(1 for _ in pattern.finditer(self.plain)) / (len(self.words) + 10)


@dataclass(frozen=True)
class FeatureItem:
    """A response with what it answers. `reference` is None where no right answer came with the prompt."""

    prompt: TextView
    response: TextView
    reference: TextView | None = None


class Feature(ABC):
    """A number that is measured of a response.

    Attributes:
        sentence: A sentence that is true of a response with much of it.
        more: What a response does that has more of it than another one, as "hedges more".
        less: The same of one that has less; default: "does not …" is made of `more`.
        family: What it is about; length and format are the surface.
        tempts: A reader who goes by the surface prefers more of it (1), less (-1), or does not care (0).
    """

    sentence: ClassVar[str]
    more: ClassVar[str]
    less: ClassVar[str] = ""
    family: ClassVar[Family] = "content"
    tempts: ClassVar[int] = 0

    @abstractmethod
    def measure(self, item: FeatureItem) -> float | None:
        """Return the number, or None where it cannot be said of this response."""


FEATURES: Registry[Feature] = Registry("feature", Feature)  # type: ignore[type-abstract]
Measure = Callable[[FeatureItem], float | None]


def add_feature(
    name: str, family: Family, sentence: str, more: str, less: str, *, tempts: int = 0
) -> Callable[[Measure], Measure]:
    """Return a decorator that makes a function known as the feature `name`; see `Feature` for the arguments."""

    def register(function: Measure) -> Measure:
        members = {
            "__doc__": function.__doc__,
            "sentence": sentence,
            "more": more,
            "less": less,
            "family": family,
            "tempts": tempts,
            "measure": lambda self, item: function(item),
        }
        FEATURES.register(name)(type(name, (Feature,), members))
        return function

    return register


def find_words(*words: str) -> re.Pattern[str]:
    """Compile a pattern for whole words and phrases, given as regular expressions in small letters."""
    return re.compile(rf"\b(?:{'|'.join(words)})\b")


_FUNCTION_WORDS = frozenset(
    """the and for are but not you all any can had her was one our out day get has him his how its may new now old see
    two who did yes she use her way will with this that have from they been were said each which their what when where
    there your about would could should into than then them these some such only also more most other does just very
    because while being over after before between both same here than too those through during why off own down until
    """.split()  # noqa: SIM905 (a table of words)
)
