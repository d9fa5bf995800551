"""Examples: pairs that people have judged, shown to a language model before the question that it is asked (few-shots).

    - {name: taught, kind: pairwise, engine: m, examples: {source: people.jsonl, number: 4}}

`source` holds pairs as `curate export` writes them and TRL reads them: `prompt`, `chosen`, `rejected`. For each prompt
the pairs of the most similar *other* prompts are shown, one of each, the most similar one last, and by turns with the
better answer first and second (the preference-aware labelling of Skywork-Reward-V2, Liu et al. 2025, arXiv 2507.01352).
What the pairs say is part of the judge's revision: with other examples it is another judge.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.core.identity import content_id
from curate.core.section import Section
from curate.data.preference_files import list_data_files, read_data_rows
from curate.data.preference_rows import Turns, Unusable, split_pair
from curate.engine.base import Engine
from curate.engine.registry import Engines
from curate.judge.template import ChatTemplate
from curate.records import plain_text

Float64 = NDArray[np.float64]
_VERSION = 1  # counts changes of how examples are chosen and shown
_WORD = re.compile(r"\w+")
_DIGITS = 4  # of similarities: what differs by less is equal, whatever batch it was computed in


class ExamplesOptions(Section):
    """Pairs that people have judged, as examples in the judge's prompt."""

    source: str = Field(description="File or folder of pairs: prompt, chosen, rejected.")
    number: int = Field(4, ge=1, le=32, description="How many are shown.")
    engine: str | None = Field(
        None, description="Name of an engine that embeds, to find similar prompts; default: by their words."
    )


@dataclass(frozen=True, slots=True)
class Example:
    request: str
    better: str
    worse: str


@dataclass(frozen=True)
class Examples:
    """A pool with one pair of each prompt. `engine`: embeds prompts; None: similarity is by TF-IDF."""

    pool: tuple[Example, ...]
    number: int
    template: ChatTemplate
    engine: Engine | None = None

    @classmethod
    def load(cls, options: ExamplesOptions, engines: Engines, *, where: str) -> Examples:
        """Raises CurateError where a row of the source is no pair: what people have checked is worth mending."""
        engine = None
        if options.engine is not None:
            engine = engines.get(options.engine, where=f"{where}.engine", needs="embed")
        pool: dict[str, Example] = {}
        for file in list_data_files(engines.folder / options.source):
            for number, row in enumerate(read_data_rows(file), 1):
                try:
                    context, better, worse = split_pair(row)
                except (Unusable, AttributeError, KeyError) as reason:
                    raise CurateError(
                        f"`{where}.source`: row {number} of {file} is no pair of answers to a prompt ({reason})."
                    ) from None
                example = Example(format_turns(context), better, worse)
                pool.setdefault(_normalize_request(example.request), example)
        if not pool:
            raise CurateError(f"`{where}.source` is {options.source!r}, which holds no pairs.")
        template = ChatTemplate.load("examples-v1", folder=engines.folder, where=where)
        return cls(tuple(pool.values()), options.number, template, engine)

    @property
    def identity(self) -> Sequence[object]:
        told = [(each.request, each.better, each.worse) for each in self.pool]
        embedder = self.engine.revision if self.engine else None
        return (_VERSION, content_id(told), self.number, self.template.text, embedder)

    def find_similar(self, requests: Sequence[str]) -> list[tuple[Example, ...]]:
        """For each request its examples, the most similar last; never one of the same request."""
        if not requests:
            return []
        likeness = np.round(self._likeness(requests), _DIGITS)
        own = [_normalize_request(each.request) for each in self.pool]
        found = []
        for request, row in zip(map(_normalize_request, requests), likeness, strict=True):
            order = [int(at) for at in np.argsort(-row, kind="stable") if own[at] != request]
            found.append(tuple(self.pool[at] for at in reversed(order[: self.number])))
        return found

    def format_examples(self, prompt_id: str, examples: Sequence[Example], *, marker: str) -> str:
        """The examples as text. Which answer is the better one alternates; the prompt's id says how that begins."""
        first = int(content_id("examples", prompt_id), 16) % 2
        compared = [
            {"request": each.request, "verdict": "B", "a": each.worse, "b": each.better}
            if (first + number) % 2
            else {"request": each.request, "verdict": "A", "a": each.better, "b": each.worse}
            for number, each in enumerate(examples)
        ]
        (turn,), _ = self.template.render(marker=marker, examples=compared)
        return plain_text(turn.content)

    def _likeness(self, requests: Sequence[str]) -> Float64:
        """float64[len(requests), len(pool)]: cosines."""
        if self.engine is None:
            words, vectors = self._words
            return np.asarray((words.transform(requests) @ vectors.T).toarray(), np.float64)
        return np.asarray(self.engine.embed(requests), np.float64) @ self._vectors.T

    @cached_property
    def _words(self) -> tuple[Any, Any]:
        """TF-IDF, and the unit vectors of the pool."""
        require_extra("models", "sklearn", purpose="Finding similar examples by their words")
        from sklearn.feature_extraction.text import TfidfVectorizer

        words = TfidfVectorizer(sublinear_tf=True, analyzer=_split_words)
        return words, words.fit_transform([each.request for each in self.pool])

    @cached_property
    def _vectors(self) -> Float64:
        assert self.engine is not None
        return np.asarray(self.engine.embed([each.request for each in self.pool]), np.float64)


def _split_words(text: str) -> list[str]:
    return _WORD.findall(text.lower()) or [""]  # TF-IDF needs something to count


def format_turns(turns: Turns) -> str:
    """A prompt as judges see it: the question alone, or all turns with who said them."""
    if len(turns) == 1:
        return turns[0][1]
    return "\n\n".join(f"[{role}]\n{text}" for role, text in turns)


def _normalize_request(request: str) -> str:
    """Equal for requests that differ in spaces and case alone."""
    return " ".join(request.split()).casefold()
