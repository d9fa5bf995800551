"""The interface of methods of extraction: each reads cases and proposes criteria.

A method of your own is one small file beside curate.yaml, named as `./mine.py:Mine` under `rubric.extract.methods`:

    from curate.rubric.extraction.base import ExtractionMethod

    class Mine(ExtractionMethod):
        def propose(self, context):
            return [...]
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from curate.config.rubric_extract import RubricExtract
from curate.engine.base import Engine
from curate.engine.json_answer import build_object_schema
from curate.rubric.extraction.calls import Caller
from curate.rubric.extraction.pairs import LabelledPair, PromptCase, Reason
from curate.rubric.extraction.proposals import Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractionContext:
    """Input of a method.

    Attributes:
        caller: Asks the engine.
        section: Settings.
        pairs: The labelled pairs.
        cases: The same by prompt.
        earlier: Proposals of the methods before it, merged.
        dropped: Proposals that a method refuses itself, by reason.
        embedder: Engine that embeds sentences, if one is named.
        notes: What a method adds to the rubric's record.
    """

    caller: Caller
    section: RubricExtract
    pairs: Sequence[LabelledPair]
    cases: Sequence[PromptCase]
    earlier: Sequence[Proposal] = ()
    dropped: Counter[str] = field(default_factory=Counter)
    embedder: Engine | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def make_sentences_schema(self, **most: int) -> Mapping[str, Any]:
        """Return the schema of an object whose values are lists of sentences; `most`: name → longest list."""
        lists = {
            name: {"type": "array", "items": self.sentence_schema, "maxItems": number}
            for name, number in most.items()
        }
        return build_object_schema(lists)

    @property
    def sentence_schema(self) -> Mapping[str, Any]:
        """Schema of a sentence: with a bound, so that an answer always comes to its end."""
        return {"type": "string", "minLength": 1, "maxLength": self.section.longest}


class ExtractionMethod(ABC):
    """A way to write criteria.

    Attributes:
        of_dataset: It looks at all prompts together, and so has nothing for a rubric of one prompt.
        needs_reasons: It reads reasons, and is of no use without any.
    """

    of_dataset: ClassVar[bool] = False
    needs_reasons: ClassVar[bool] = False

    @abstractmethod
    def propose(self, context: ExtractionContext) -> list[Proposal]:
        """Return proposals, in the order in which they were found."""


def describe_reasons(reasons: Sequence[Reason]) -> list[dict[str, str]]:
    """Return reasons as templates show them."""
    return [{"text": reason.text, "about": reason.about} for reason in reasons]
