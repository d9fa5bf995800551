"""Examples (few-shots): pairs that people have judged, shown to a language model before its question.

    - {name: taught, kind: pairwise, engine: m, examples: {source: people.jsonl, number: 4}}

`source` holds pairs as `curate export` writes them and TRL reads them: `prompt`, `chosen`, `rejected`. For each prompt
the pairs of the most similar *other* prompts are shown, one of each, the most similar one last, and by turns with the
better answer first and second (the preference-aware labelling of Skywork-Reward-V2, Liu et al. 2025, arXiv 2507.01352).
The pairs are part of the judge's revision: with other examples it is another judge.
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
from curate.data.conversation import UnreadableMessageError
from curate.data.preference_files import list_data_files, read_data_rows
from curate.data.preference_rows import read_pair
from curate.engine.base import Engine
from curate.engine.registry import Engines
from curate.engine.template import ChatTemplate
from curate.judge.trajectory import DEFAULT_VIEW, TextView, render_question
from curate.records import plain_text

Float64 = NDArray[np.float64]
_VERSION = 1  # counts changes of how examples are chosen and shown
_WORD = re.compile(r"\w+")
_DIGITS = 4  # of similarities: smaller differences come from the batch they were computed in


class ExamplesOptions(Section):
    """Options of the examples in a judge's prompt."""

    source: str = Field(description="File or folder of pairs: prompt, chosen, rejected.")
    number: int = Field(4, ge=1, le=32, description="Number of examples shown.")
    engine: str | None = Field(
        None, description="Name of an engine that embeds, to find similar prompts; default: by their words."
    )


@dataclass(frozen=True, slots=True)
class Example:
    """A pair that people have judged."""

    request: str
    better: str
    worse: str


@dataclass(frozen=True)
class Examples:
    """A pool with one pair of each prompt. `engine` embeds prompts; None: similarity by TF-IDF."""

    pool: tuple[Example, ...]
    number: int
    template: ChatTemplate
    engine: Engine | None = None

    @classmethod
    def load(
        cls, options: ExamplesOptions, engines: Engines, *, where: str, view: TextView = DEFAULT_VIEW
    ) -> Examples:
        """Load the pool of a judge; raise CurateError if a row of the source is no pair."""
        engine = None
        if options.engine is not None:
            engine = engines.get(options.engine, where=f"{where}.engine", needs="embed")
        pool: dict[str, Example] = {}
        for file in list_data_files(engines.folder / options.source):
            for number, row in enumerate(read_data_rows(file), 1):
                try:
                    pair = read_pair(row)
                except UnreadableMessageError as reason:
                    raise CurateError(
                        f"`{where}.source`: row {number} of {file} is no pair of answers to a prompt ({reason})."
                    ) from None
                responses = (pair.chosen, pair.rejected)
                texts = render_question(pair.prompt, responses, view, tools=pair.tools)
                example = Example(texts.request, *texts.responses)
                pool.setdefault(_normalize_request(example.request), example)
        if not pool:
            raise CurateError(f"`{where}.source` is {options.source!r}, which holds no pairs.")
        template = ChatTemplate.load("examples-v1", folder=engines.folder, where=where)
        return cls(tuple(pool.values()), options.number, template, engine)

    @property
    def identity(self) -> Sequence[object]:
        pairs = [(example.request, example.better, example.worse) for example in self.pool]
        embedder = self.engine.revision if self.engine else None
        return (_VERSION, content_id(pairs), self.number, self.template.text, embedder)

    def find_similar(self, requests: Sequence[str]) -> list[tuple[Example, ...]]:
        """Find the examples for each request, the most similar one last; never one of the same request."""
        if not requests:
            return []
        similarity = np.round(self._measure_similarity(requests), _DIGITS)
        pool_requests = [_normalize_request(example.request) for example in self.pool]
        chosen = []
        for request, row in zip(map(_normalize_request, requests), similarity, strict=True):
            order = [int(i) for i in np.argsort(-row, kind="stable") if pool_requests[i] != request]
            chosen.append(tuple(self.pool[i] for i in reversed(order[: self.number])))
        return chosen

    def format_examples(self, prompt_id: str, examples: Sequence[Example], *, marker: str) -> str:
        """Format examples as text. The better answer is A and B by turns; the prompt's id decides which is first."""
        first = int(content_id("examples", prompt_id), 16) % 2
        compared = [
            {"request": example.request, "verdict": "B", "a": example.worse, "b": example.better}
            if (first + number) % 2
            else {"request": example.request, "verdict": "A", "a": example.better, "b": example.worse}
            for number, example in enumerate(examples)
        ]
        (turn,), _ = self.template.render(marker=marker, examples=compared)
        return plain_text(turn.content)

    def _measure_similarity(self, requests: Sequence[str]) -> Float64:
        """Return the cosines, float64[len(requests), len(pool)]."""
        if self.engine is None:
            words, vectors = self._word_vectors
            return np.asarray((words.transform(requests) @ vectors.T).toarray(), np.float64)
        return np.asarray(self.engine.embed(requests), np.float64) @ self._pool_embeddings.T

    @cached_property
    def _word_vectors(self) -> tuple[Any, Any]:
        """Vectorizer by TF-IDF, and the unit vectors of the pool."""
        require_extra("models", "sklearn", purpose="Finding similar examples by their words")
        from sklearn.feature_extraction.text import TfidfVectorizer

        words = TfidfVectorizer(sublinear_tf=True, analyzer=_split_words)
        return words, words.fit_transform([example.request for example in self.pool])

    @cached_property
    def _pool_embeddings(self) -> Float64:
        assert self.engine is not None
        return np.asarray(self.engine.embed([example.request for example in self.pool]), np.float64)


def _split_words(text: str) -> list[str]:
    return _WORD.findall(text.lower()) or [""]  # TF-IDF needs something to count


def _normalize_request(request: str) -> str:
    """Return a form that is equal for requests that differ only in spaces and case."""
    return " ".join(request.split()).casefold()
