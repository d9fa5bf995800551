"""The contract of filters: items go in, decisions come out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from curate.core.section import Section

Target = Literal["prompt", "response", "pair"]


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt or a response as text, or a pair of responses with what annotators say of it.

    Attributes:
        text: Of a prompt its last message, of a response all of it.
        category: That of the prompt, where its `meta` names one.
        history: What stands in a prompt before its last message.
        context: Equal for prompts that differ in their last message's text alone.
        verdict: Of a pair, the verdict of most annotators: 1 the first response of the id, -1 the second, 0 neither.
        aspects: Of a pair, the same in each aspect.
        votes: Of a pair, the same of each annotator.
        models: Of a pair, who wrote its responses.
    """

    id: str
    prompt_id: str
    text: str
    source: str
    model: str | None = None
    category: str | None = None
    history: str = ""
    context: str = ""
    verdict: int = 0
    aspects: Mapping[str, int] = field(default_factory=dict)
    votes: Mapping[str, int] = field(default_factory=dict)
    models: tuple[str | None, str | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Decision:
    """Finding of a filter about one item.

    `reason`: a few words, the same for all items with one flaw; `other`: what it repeats.
    """

    item: Item
    reason: str
    score: float | None = None
    other: str | None = None


@dataclass(frozen=True, slots=True)
class Items:
    """The prompts, responses or pairs of a lake, in the order in which they came in; iterating reads them again."""

    read: Callable[[], Iterator[Item]]
    count: int

    def __iter__(self) -> Iterator[Item]:
        return self.read()

    def __len__(self) -> int:
        return self.count


class FilterOptions(Section):
    """Options of every filter; each kind adds its own."""

    name: str = Field(description="Name in `filter_decisions` and in reasons; default: the kind.")
    kind: str
    action: Literal["drop", "report"] = Field(
        "drop", description="drop: no judge is asked, and exports leave it out. report: it is only counted."
    )


class Filter(ABC):
    """A filter. Its decisions depend on the items, its options and `version` alone.

    Attributes:
        Options: What curate.yaml can set.
        version: Raised when the same items get other decisions.
        target: What it decides about.
        reads: What it reads: items of its target, or pairs with their verdicts.
        cache: Folder for what is dear to compute again, such as embeddings; None: keep nothing.
    """

    Options: ClassVar[type[FilterOptions]] = FilterOptions
    version: ClassVar[int] = 1
    cache: Path | None = None

    def __init__(self, options: Any, *, folder: Path = Path()) -> None:
        self.options: Any = options
        self.folder = folder

    @property
    def target(self) -> Target:
        return "prompt"

    @property
    def reads(self) -> Target:
        return self.target

    @property
    def inputs(self) -> tuple[str, ...]:
        """Digests of what it reads beside items and options, such as the files of benchmarks."""
        return ()

    @abstractmethod
    def find(self, items: Items) -> Iterator[Decision]:
        """Yield a decision for each item that has the flaw, in any order, at most one an item."""


class TextFilterOptions(FilterOptions):
    """Options of a filter that looks at one text at a time."""

    of: Literal["prompt", "response"] = Field(
        "response", description="What is looked at: prompt or response."
    )
    action: Literal["drop", "report", "route"] = Field(  # type: ignore[assignment]  # one more than others have
        "drop",
        description="drop: no judge is asked, and exports leave it out. report: it is only counted. route: a response "
        "is left out until people let it stay (`curate verify plan --filter NAME`).",
    )

    @model_validator(mode="after")
    def _route_responses_alone(self) -> Self:
        if self.action == "route" and self.of != "response":
            raise ValueError("people are asked about responses alone: `action: route` needs `of: response`")
        return self


class TextFilter(Filter):
    """A filter that looks at one text at a time."""

    Options: ClassVar[type[FilterOptions]] = TextFilterOptions

    @property
    def target(self) -> Target:
        target: Target = self.options.of
        return target

    @abstractmethod
    def find_flaw(self, text: str) -> tuple[str, float | None] | None:
        """Return a few words of reason and what was measured, or None where the text is sound."""

    def find(self, items: Items) -> Iterator[Decision]:
        for item in items:
            flaw = self.find_flaw(item.text)
            if flaw is not None:
                yield Decision(item, *flaw)
