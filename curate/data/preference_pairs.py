"""Preference data as arrays: what training and evaluation make of rows of preferences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.core.identity import content_id
from curate.data.conversation import Conversation, UnreadableMessageError, identify_turns, render_text
from curate.data.preference_files import list_data_files, read_data_rows
from curate.data.preference_rows import read_pair, read_ranking, read_row_number
from curate.records import plain_text

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferencePairs:
    """Pairs of responses with the probability that the chosen one is better.

    | field                | type            | meaning |
    | ---                  | ---             | --- |
    | `prompt_ids`         | tuple[P]        | the rows' `prompt_id`, or a hash of the prompt where they have none |
    | `contexts`           | tuple[P]        | the conversation of each prompt |
    | `tools`              | tuple[P]        | JSON text of the tools of each prompt, or None |
    | `responses`          | tuple[R]        | distinct responses (per prompt), conversations too |
    | `prompt_of`          | int64[R]        | prompt of each response |
    | `chosen`, `rejected` | int64[n]        | response indexes |
    | `p_chosen`           | float64[n]      | the rows' `confidence`, else 1 |
    | `weight`             | float64[n]      | the rows' `weight`, else 1; 2/N for each pair of a ranking of N |
    | `strength`           | float64[n]      | the rows' `strength` (log-odds), else not a number |
    | `rank`               | int64[R]        | rank in the row's ranking (1 best, ties share it); 0: none |
    | `aspects`            | dict            | aspect → float64[n]: P(chosen is better in it), or not a number |
    | `dropped`            | dict            | rows that are no usable pair: reason → number |
    | `references`         | tuple[P]        | the first `reference` of each prompt, or None |
    """

    prompt_ids: tuple[str, ...]
    contexts: tuple[Conversation, ...]
    tools: tuple[str | None, ...]
    responses: tuple[Conversation, ...]
    prompt_of: Int64
    chosen: Int64
    rejected: Int64
    p_chosen: Float64
    weight: Float64
    strength: Float64
    rank: Int64
    aspects: dict[str, Float64]
    dropped: dict[str, int]
    references: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def prompt(self) -> Int64:
        """int64[n]: prompt of each pair."""
        return self.prompt_of[self.chosen]

    @property
    def questions(self) -> tuple[str, ...]:
        """The text of each prompt's last user turn."""
        return tuple(map(get_question, self.contexts))

    @property
    def texts(self) -> tuple[str, ...]:
        """The responses as models that read text see them."""
        return tuple(map(render_text, self.responses))

    @property
    def lengths(self) -> Int64:
        """int64[R]: characters of each response as text."""
        return np.array([len(text) for text in self.texts], np.int64)


def get_question(prompt: Conversation) -> str:
    """Return the text of a prompt's last user turn, or of its last turn."""
    users = [message for message in prompt if message.role == "user"] or list(prompt)
    return plain_text(users[-1].content)


def identify_prompt(prompt: Conversation, tools: str | None = None) -> str:
    """Return what identifies a prompt in rows that have no `prompt_id`."""
    identity = identify_turns(prompt)
    return content_id(identity) if tools is None else content_id(identity, tools)


def read_pairs(source: Path) -> PreferencePairs:
    """Read a file (.parquet, .jsonl, also .gz or .zst) or a folder of them; in a folder, its training part.

    Rows are those of `curate.data.preference_rows`: pairs (`chosen`, `rejected`) or rankings (`responses`, `rankings`).
    Optional: `prompt_id`, `confidence` (probability that chosen is better), `strength` (its log-odds, else `margin`),
    `weight`, `aspects` (an object: name → probability that chosen is better in it, 0.5 for a tie, null where nobody
    said). A ranking gives all pairs of different rank, each with weight 2/N, so that it counts as N − 1 comparisons.
    """
    builder = _Builder()
    for file in list_data_files(source):
        for row in read_data_rows(file):
            builder.add_row(row)
    return builder.build()


class _Builder:
    def __init__(self) -> None:
        self._prompts: dict[str, int] = {}
        self._contexts: list[tuple[Conversation, str | None]] = []
        self._references: list[str | None] = []
        self._responses: dict[tuple[int, Conversation], int] = {}
        self._ranks: dict[int, int] = {}
        self._pairs: list[tuple[int, int, float, float, float]] = []
        self._aspects: dict[str, dict[int, float]] = {}  # name → pair → probability
        self._dropped: Counter[str] = Counter()

    def add_row(self, row: Any) -> None:
        if not isinstance(row, Mapping):
            self._dropped["not an object"] += 1
            return
        try:
            if row.get("rankings") is not None:
                self._add_ranking(row)
            else:
                self._add_pair(row)
        except UnreadableMessageError as error:
            self._dropped[error.kind] += 1

    def _add_pair(self, row: Mapping[str, Any]) -> None:
        pair = read_pair(row)
        confidence = read_row_number(row, "confidence", 1.0, most=1.0)
        weight = read_row_number(row, "weight", 1.0)
        margin = read_row_number(row, "margin", math.nan, least=-math.inf)  # the name that trainers read
        strength = read_row_number(row, "strength", margin, least=-math.inf)
        aspects = _read_aspects(row)
        prompt = self._add_prompt(row, pair.prompt, pair.tools)
        a, b = (self._add_response(prompt, response) for response in (pair.chosen, pair.rejected))
        for name, p in aspects.items():
            self._aspects.setdefault(name, {})[len(self._pairs)] = p
        self._pairs.append((a, b, confidence, weight, strength))

    def _add_ranking(self, row: Mapping[str, Any]) -> None:
        ranking = read_ranking(row)
        weight = 2.0 / len(ranking.ranks) * read_row_number(row, "weight", 1.0)
        prompt = self._add_prompt(row, ranking.prompt, ranking.tools)
        places = [self._add_response(prompt, response) for response in ranking.responses]
        self._ranks.update(zip(places, ranking.ranks, strict=True))
        self._pairs += [
            (a, b, 1.0, weight, math.nan)
            for a, better in zip(places, ranking.ranks, strict=True)
            for b, worse in zip(places, ranking.ranks, strict=True)
            if better < worse
        ]

    def _add_prompt(self, row: Mapping[str, Any], context: Conversation, tools: str | None) -> int:
        identity = row.get("prompt_id")
        prompt_id = identity if isinstance(identity, str) and identity else identify_prompt(context, tools)
        prompt = self._prompts.setdefault(prompt_id, len(self._prompts))
        if prompt == len(self._contexts):
            self._contexts.append((context, tools))
            self._references.append(None)
        reference = row.get("reference")
        if self._references[prompt] is None and isinstance(reference, str) and reference:
            self._references[prompt] = reference
        return prompt

    def _add_response(self, prompt: int, response: Conversation) -> int:
        return self._responses.setdefault((prompt, response), len(self._responses))

    def build(self) -> PreferencePairs:
        table = np.array(self._pairs, np.float64).reshape(-1, 5)
        return PreferencePairs(
            prompt_ids=tuple(self._prompts),
            contexts=tuple(context for context, _ in self._contexts),
            tools=tuple(tools for _, tools in self._contexts),
            responses=tuple(response for _, response in self._responses),
            prompt_of=np.array([prompt for prompt, _ in self._responses], np.int64),
            chosen=table[:, 0].astype(np.int64),
            rejected=table[:, 1].astype(np.int64),
            p_chosen=table[:, 2],
            weight=table[:, 3],
            strength=table[:, 4],
            rank=np.array([self._ranks.get(number, 0) for number in range(len(self._responses))], np.int64),
            aspects={
                name: np.array([by_pair.get(pair, math.nan) for pair in range(len(table))])
                for name, by_pair in sorted(self._aspects.items())
            },
            dropped=dict(self._dropped),
            references=tuple(self._references),
        )


def _read_aspects(row: Mapping[str, Any]) -> dict[str, float]:
    aspects = row.get("aspects")
    if aspects is None:
        return {}
    if not isinstance(aspects, Mapping):
        raise UnreadableMessageError("wrong type", "`aspects` is no object of names and probabilities.")
    return {
        str(name): read_row_number(aspects, name, 0.5, most=1.0)
        for name, p in aspects.items()
        if p is not None
    }
