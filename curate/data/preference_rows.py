"""Preference data sets as files: what `export` writes and TRL reads."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.core.identity import content_id
from curate.data.media import part_text
from curate.data.preference_files import digest_data, list_data_files, read_data_rows
from curate.records import Part, text_parts

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

Turns = list[tuple[str, str]]
"""Messages as (role, text); the text of one that holds images is a `Pictured`."""

__all__ = [
    "Pictured",
    "PreferencePairs",
    "Turns",
    "Unusable",
    "digest_data",
    "parts_of",
    "read_pairs",
    "split_pair",
    "split_ranking",
    "turns_of",
    "with_images",
]

_ASSISTANT = "\n\nAssistant:"
_ADDRESSES = ("uri", "url", "path", "image")  # where others' parts say where the image is


class Pictured(str):
    """A text as text-only models read it, with a mark where an image stands, and the `parts` that it stands for."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, text: str, parts: Iterable[Part]) -> Pictured:
        """Attach the parts that a text stands for."""
        pictured = cls(text)
        pictured.parts = tuple(parts)
        return pictured

    @property
    def identity(self) -> object:
        """For `content_id`: the text, and the images where it does not name them."""
        images = [part.uri for part in self.parts if part.type != "text"]
        return str(self) if all(uri is not None and uri in self for uri in images) else [str(self), images]


def parts_of(text: str) -> tuple[Part, ...]:
    """Return a text as content of a message, with its images where it has some."""
    return text.parts if isinstance(text, Pictured) else text_parts(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferencePairs:
    """Pairs of responses with the probability that the chosen one is better.

    | field                | type       | meaning |
    | ---                  | ---        | --- |
    | `prompt_ids`         | tuple[P]   | the rows' `prompt_id`, or a hash of the prompt where they have none |
    | `contexts`           | tuple[P]   | the turns of each prompt: (role, text) |
    | `questions`          | tuple[P]   | the text of each prompt's last user turn |
    | `responses`          | tuple[R]   | distinct responses (per prompt) |
    | `prompt_of`          | int64[R]   | prompt of each response |
    | `chosen`, `rejected` | int64[n]   | response indexes |
    | `p_chosen`           | float64[n] | the rows' `confidence`, else 1 |
    | `weight`             | float64[n] | the rows' `weight`, else 1; 2/N for each pair of a ranking of N |
    | `strength`           | float64[n] | the rows' `strength` (log-odds), else not a number |
    | `rank`               | int64[R]   | rank in the row's ranking (1 best, ties share it); 0 where no row ranks it |
    | `aspects`            | dict       | aspect → float64[n]: P(chosen is better in it), or not a number |
    | `dropped`            | dict       | rows that are no usable pair: reason → number |
    """

    prompt_ids: tuple[str, ...]
    contexts: tuple[Turns, ...]
    questions: tuple[str, ...]
    responses: tuple[str, ...]
    prompt_of: Int64
    chosen: Int64
    rejected: Int64
    p_chosen: Float64
    weight: Float64
    strength: Float64
    rank: Int64
    aspects: dict[str, Float64]
    dropped: dict[str, int]

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def prompt(self) -> Int64:
        """int64[n]: prompt of each pair."""
        return self.prompt_of[self.chosen]

    @property
    def lengths(self) -> Int64:
        """int64[R]: characters of each response."""
        return np.array([len(response) for response in self.responses], np.int64)


def read_pairs(source: Path) -> PreferencePairs:
    """Read a file (.parquet, .jsonl, also .gz or .zst) or a folder of them; in a folder, its training part.

    Rows of pairs: `chosen` and `rejected`, each text or messages, and `prompt` likewise; without `prompt`, the
    messages that chosen and rejected begin with in common (TRL's implicit prompt), or, of transcripts as HH-RLHF has
    them, what stands before their last turn mark in common. Optional: `system` (text of a system message), `prompt_id`,
    `confidence` (probability that chosen is better), `strength` (its log-odds), `weight`, `aspects` (an object: name →
    probability that chosen is better in it, 0.5 for a tie, null where nobody said), `images` (TRL's: those of the
    prompt's parts {"type": "image"} that say no address themselves; without such parts they open its first user turn).
    Rows of rankings: `prompt`, `responses` (texts, or objects with `text`), `rankings` (1 the best, ties share a
    rank): all pairs of different rank, each with weight 2/N, so that a ranking counts as N − 1 comparisons.
    """
    builder = _Builder()
    for file in list_data_files(source):
        for row in read_data_rows(file):
            builder.add(row)
    return builder.build()


class Unusable(Exception):  # noqa: N818 (a verdict on a row, not an error)
    """Why a row is of no use."""


class _Builder:
    def __init__(self) -> None:
        self._prompts: dict[str, int] = {}
        self._contexts: list[Turns] = []
        self._responses: dict[tuple[int, str], int] = {}
        self._ranks: dict[int, int] = {}
        self._pairs: list[tuple[int, int, float, float, float]] = []
        self._aspects: dict[str, dict[int, float]] = {}  # name → pair → probability
        self._dropped: Counter[str] = Counter()

    def add(self, row: Any) -> None:
        try:
            self._add(row)
        except Unusable as reason:
            self._dropped[str(reason)] += 1

    def _add(self, row: Any) -> None:
        if not isinstance(row, Mapping):
            raise Unusable("no JSON object")
        if row.get("rankings") is not None:
            self._add_ranking(row)
            return
        context, chosen, rejected = split_pair(row)
        context = with_images(context, row)
        if chosen == rejected:
            raise Unusable("chosen and rejected are equal")
        confidence = _read_number(row, "confidence", 1.0)
        weight = _read_number(row, "weight", 1.0)
        strength = _read_number(row, "strength", math.nan, least=-math.inf)
        if confidence > 1.0:
            raise Unusable("confidence is above 1")
        aspects = _read_aspects(row)
        prompt = self._prompt(row, context)
        a, b = (self._response(prompt, text) for text in (chosen, rejected))
        for name, p in aspects.items():
            self._aspects.setdefault(name, {})[len(self._pairs)] = p
        self._pairs.append((a, b, confidence, weight, strength))

    def _add_ranking(self, row: Mapping[str, Any]) -> None:
        context = with_images(turns_of(row.get("prompt"), "prompt", "user"), row)
        texts, ranks = split_ranking(row)
        weight = 2.0 / len(texts) * _read_number(row, "weight", 1.0)
        prompt = self._prompt(row, context)
        places = [self._response(prompt, text) for text in texts]
        self._ranks.update(zip(places, ranks, strict=True))
        self._pairs += [
            (a, b, 1.0, weight, math.nan)
            for a, better in zip(places, ranks, strict=True)
            for b, worse in zip(places, ranks, strict=True)
            if better < worse
        ]

    def _prompt(self, row: Mapping[str, Any], context: Turns) -> int:
        identity = row.get("prompt_id")
        prompt_id = identity if isinstance(identity, str) and identity else content_id(context)
        prompt = self._prompts.setdefault(prompt_id, len(self._prompts))
        if prompt == len(self._contexts):
            self._contexts.append(context)
        return prompt

    def _response(self, prompt: int, text: str) -> int:
        return self._responses.setdefault((prompt, text), len(self._responses))

    def build(self) -> PreferencePairs:
        table = np.array(self._pairs, np.float64).reshape(-1, 5)
        return PreferencePairs(
            prompt_ids=tuple(self._prompts),
            contexts=tuple(self._contexts),
            questions=tuple(map(_write_question, self._contexts)),
            responses=tuple(text for _, text in self._responses),
            prompt_of=np.array([prompt for prompt, _ in self._responses], np.int64),
            chosen=table[:, 0].astype(np.int64),
            rejected=table[:, 1].astype(np.int64),
            p_chosen=table[:, 2],
            weight=table[:, 3],
            strength=table[:, 4],
            rank=np.array([self._ranks.get(at, 0) for at in range(len(self._responses))], np.int64),
            aspects={
                name: np.array([by_pair.get(pair, math.nan) for pair in range(len(table))])
                for name, by_pair in sorted(self._aspects.items())
            },
            dropped=dict(self._dropped),
        )


def split_pair(row: Mapping[str, Any]) -> tuple[Turns, str, str]:
    """Split a row of a pair into context, chosen text and rejected text."""
    chosen, rejected = (turns_of(row.get(name), name, "assistant") for name in ("chosen", "rejected"))
    if row.get("prompt") is not None:
        context = turns_of(row["prompt"], "prompt", "user")
    elif isinstance(row["chosen"], str) and isinstance(row["rejected"], str):
        start = _start_of_answers(row["chosen"], row["rejected"])
        context = [("user", row["chosen"][:start])]
        chosen, rejected = ([("assistant", row[name][start:].lstrip())] for name in ("chosen", "rejected"))
    else:
        context = []
    # Conversations may repeat the prompt; in any case what both begin with is context and not an answer.
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    if all(turns[0][0] in ("system", "user") for turns in (chosen, rejected)):  # whole conversations
        if not _begins_with(chosen[:shared], context):
            raise Unusable("prompt is no part of the conversations in chosen and rejected")
        context = chosen[:shared]
    elif context[-1:] != chosen[shared - 1 : shared]:
        context = context + chosen[:shared]
    if not context:
        raise Unusable("no prompt")
    return _with_system(context, row), _join_turns(chosen[shared:]), _join_turns(rejected[shared:])


def _begins_with(turns: Turns, opening: Turns) -> bool:
    """Tell whether a conversation holds all turns of a prompt in their order, white space around them aside."""
    rest = iter(turns)
    return all(
        any(role == other and text.strip() == rest_text.strip() for other, rest_text in rest)
        for role, text in opening
    )


def _with_system(context: Turns, row: Mapping[str, Any]) -> Turns:
    """Put the row's column `system` before a context that does not begin with it already."""
    system = row.get("system")
    if not isinstance(system, str) or not system.strip():
        return context
    if context[0][0] != "system":
        return [("system", system), *context]
    if context[0][1].strip() != system.strip():
        raise Unusable("system is another one than that of the conversation")
    return context


def turns_of(value: Any, name: str, role: str) -> Turns:
    if isinstance(value, str):
        return [(role, value)]
    if not isinstance(value, list) or not value:
        raise Unusable(f"{name} is missing or no text")
    return [_read_turn(message, name) for message in value]


def _read_turn(message: Any, name: str) -> tuple[str, str]:
    match message:
        case {"role": str(role), "content": str(text)}:
            return role, text
        case {"role": str(role), "content": list(parts)} if all(isinstance(part, dict) for part in parts):
            joined = "\n".join(map(part_text, parts))
            has_images = any(part.get("type") in ("image", "video") for part in parts)
            return role, Pictured.of(joined, map(_read_part, parts)) if has_images else joined
    raise Unusable(f"{name} holds something that is no message")


def _read_part(part: Mapping[str, Any]) -> Part:
    kind, digest = part.get("type"), part.get("sha256")
    if kind not in ("image", "video"):
        return Part(text=part_text(part))
    addresses = (_find_address(part.get(name)) for name in _ADDRESSES)
    return Part(type=kind, uri=next(filter(None, addresses), None), sha256=str(digest) if digest else None)


def _find_address(image: Any) -> str | None:
    """Find the address of an image in a cell: a text, or what `datasets` makes of one, its bytes or its path."""
    match image:
        case str():
            return image
        case {"bytes": bytes(held)}:
            return "data:;base64," + base64.b64encode(held).decode()
        case {"path": str(path)} | {"url": str(path)} | {"uri": str(path)}:
            return path
    return None


def with_images(context: Turns, row: Mapping[str, Any]) -> Turns:
    """Put the images of the row's column `images` where the prompt's messages leave room for them.

    Without such room they go before the first user turn; where there is not one image for each, nothing changes.
    """
    images = row.get("images")
    if not isinstance(images, list) or not images:
        return context
    parts = [Part(type="image", uri=_find_address(image)) for image in images]
    holes = [part for _, text in context for part in parts_of(text) if part.type == "image"]
    if not holes:
        first = next((at for at, (role, _) in enumerate(context) if role == "user"), 0)
        role, text = context[first]
        return [*context[:first], (role, Pictured.of(text, [*parts, *parts_of(text)])), *context[first + 1 :]]
    if len(parts) != sum(part.uri is None for part in holes):
        return context
    rest = iter(parts)
    return [
        (role, Pictured.of(text, _fill_images(text.parts, rest)) if isinstance(text, Pictured) else text)
        for role, text in context
    ]


def _fill_images(parts: Sequence[Part], images: Iterator[Part]) -> list[Part]:
    return [next(images) if part.type == "image" and part.uri is None else part for part in parts]


def _join_turns(turns: Turns) -> str:
    joined = "\n\n".join(text for _, text in turns)
    if not any(isinstance(text, Pictured) for _, text in turns):
        return joined
    return Pictured.of(joined, [part for _, text in turns for part in parts_of(text)])


def _write_question(context: Turns) -> str:
    user_turns = [text for role, text in context if role == "user"] or [text for _, text in context]
    return user_turns[-1]


def _start_of_answers(chosen: str, rejected: str) -> int:
    """Find where the answers begin in two transcripts with the same context: after the last turn mark in common.

    Without such a mark there is no prompt: what two texts begin with in common may be part of both answers.
    """
    shared = next(
        (at for at, (one, other) in enumerate(zip(chosen, rejected, strict=False)) if one != other),
        min(len(chosen), len(rejected)),
    )
    mark = chosen.rfind(_ASSISTANT, 0, shared)
    if mark < 0:
        raise Unusable("no prompt")
    return mark + len(_ASSISTANT)


def split_ranking(row: Mapping[str, Any]) -> tuple[list[str], list[int]]:
    """Split a row of a ranking into texts and ranks."""
    responses, ranks = row.get("responses"), row["rankings"]
    if not isinstance(responses, list) or not isinstance(ranks, list) or len(responses) != len(ranks):
        raise Unusable("rankings and responses are no lists of one length")
    cells = [response.get("text") if isinstance(response, Mapping) else response for response in responses]
    texts = [text for text in cells if isinstance(text, str)]
    if len(texts) < len(cells):
        raise Unusable("responses holds something without a text")
    if not all(isinstance(rank, int) and not isinstance(rank, bool) and rank >= 1 for rank in ranks):
        raise Unusable("rankings holds something that is no rank of at least 1")
    if len(set(texts)) < len(texts):
        raise Unusable("two responses of a ranking are equal")
    if len(set(ranks)) < 2:
        raise Unusable("all responses of a ranking are tied")
    return texts, ranks


def _read_aspects(row: Mapping[str, Any]) -> dict[str, float]:
    aspects = row.get("aspects")
    if aspects is None:
        return {}
    if not isinstance(aspects, Mapping):
        raise Unusable("aspects is no object of names and probabilities")
    known = {str(name): _read_number(aspects, name, 0.5) for name, p in aspects.items() if p is not None}
    if any(p > 1.0 for p in known.values()):
        raise Unusable("an aspect's probability is above 1")
    return known


def _read_number(row: Mapping[str, Any], name: str, default: float, *, least: float = 0.0) -> float:
    value = row.get(name)
    if value is None:
        return default
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or value < least
    ):
        raise Unusable(f"{name} is no number" + ("" if math.isinf(least) else f" of at least {least:g}"))
    return float(value)
