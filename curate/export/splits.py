"""Splits of an export by prompt, for good: what is once held out stays held out while the lake grows.

A prompt's place is a hash of its id, a number from 0 to 1, and the splits are intervals of it in the order of
`curate.yaml`. A prompt that is nearly the same as an older one goes where that one went, whatever its own number; since
only older prompts count, nothing that comes later moves a prompt. One that resembles prompts of two splits goes
nowhere: it is left out and counted. A split that would have no prompt gets one group of the largest split: until the
lake is large enough, so that a test is always there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from curate.config.export import ExportEntry
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.resources import read_query
from curate.lake.lake import Lake

_WORDS = 3  # of a shingle: prompts are short
_BETWEEN = "nearly the same as prompts of two splits"


@dataclass(frozen=True, slots=True)
class PromptPlace:
    """Where a prompt goes.

    Attributes:
        split: Its split; None where it resembles prompts of two.
        number: Its number from 0 to 1: that of the oldest prompt with the same words.
        group: Place of the oldest prompt that it resembles, directly or through others.
    """

    split: str | None
    number: float
    group: int


def select_splits(reader: Lake, entry: ExportEntry) -> None:
    """Give each row of the temporary table `selection` its split, as the column `part`.

    Args:
        reader: The lake, with `selection`.
        entry: The export, with its `splits`.

    Raises:
        CurateError: There are too few prompts for as many splits.
    """
    shares = entry.splits or {}
    if not reader.value("SELECT count(*) FROM selection WHERE reason IS NULL"):
        return  # there is nothing to divide, which `write_export` says
    if reader.value("SELECT count(*) FROM duckdb_views() WHERE view_name = 'prompts'"):
        raise CurateError("`splits` need a lake of this version: run any command that writes to it first.")
    rows = reader.rows(read_query("export_prompt_texts"))
    prompt_ids = [prompt_id for prompt_id, _ in rows]
    places = assign_splits(prompt_ids, [text for _, text in rows], shares, entry.split_similarity)
    columns = {
        "prompt_id": prompt_ids,
        "part": [place.split for place in places],
        "number": [place.number for place in places],
        "near": [place.group for place in places],
    }
    kinds = {"prompt_id": pl.String, "part": pl.String, "number": pl.Float64, "near": pl.Int64}
    with reader.bind("prompt_places", pl.DataFrame(columns, kinds)):
        reader.rows(read_query("export_select_splits"), [_BETWEEN])
    for name in shares:
        _fill_split(reader, name, entry)


def assign_splits(
    prompt_ids: Sequence[str], texts: Sequence[str], shares: Mapping[str, float], similarity: float
) -> list[PromptPlace]:
    """Return the place of each prompt.

    Args:
        prompt_ids: The prompts, the oldest first.
        texts: What was asked, in the same order.
        shares: Split → its share of prompts.
        similarity: Least overlap of the shingles of two prompts that are nearly the same.
    """
    from curate.data.minhash import (
        find_similar_pairs,
    )  # with numba, which an export without splits need not load
    from curate.data.shingles import hash_shingles, normalize_text

    normal = [" ".join(normalize_text(text).split()) for text in texts]
    first_of = {text: place for place, text in reversed(list(enumerate(normal)))}
    distinct = sorted(first_of.values())
    older: defaultdict[int, set[int]] = defaultdict(set)
    near_pairs = find_similar_pairs(hash_shingles((normal[at] for at in distinct), n=_WORDS), similarity)
    for young, old in zip(near_pairs.later.tolist(), near_pairs.earlier.tolist(), strict=True):
        older[distinct[young]].add(distinct[old])
    groups = _Groups()
    places: list[tuple[str | None, float]] = []
    for at, prompt_id in enumerate(prompt_ids):
        if (first := first_of[normal[at]]) < at:
            places.append(places[first])
            groups.join(at, first)
            continue
        for neighbour in older[at]:
            groups.join(at, neighbour)
        near = {places[neighbour][0] for neighbour in older[at]} - {None}
        number = _number_prompt(prompt_id)
        split = _find_split(number, shares) if not near else near.pop() if len(near) == 1 else None
        places.append((split, number))
    return [PromptPlace(split, number, groups.find(at)) for at, (split, number) in enumerate(places)]


class _Groups:
    """Sets of prompts that grow together, each known by its oldest member."""

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}

    def find(self, place: int) -> int:
        while (parent := self._parents.get(place, place)) != place:
            self._parents[place] = self._parents.get(parent, parent)
            place = parent
        return place

    def join(self, one: int, other: int) -> None:
        young, old = sorted((self.find(one), self.find(other)), reverse=True)
        self._parents[young] = old


def _number_prompt(prompt_id: str) -> float:
    return float(int(content_id("split", prompt_id)[:13], 16) / 16**13)


def _find_split(number: float, shares: Mapping[str, float]) -> str:
    end = 0.0
    for name, share in shares.items():
        end += share
        if number < end:
            return name
    return name


def _fill_split(reader: Lake, name: str, entry: ExportEntry) -> None:
    """Where a split has no prompt, move one group of the split with the most: that with the highest number."""
    groups = reader.rows(
        "SELECT part, near, max(number) FROM selection WHERE reason IS NULL GROUP BY ALL ORDER BY 3 DESC, 2"
    )
    by_split: defaultdict[str, list[int]] = defaultdict(list)
    for part, group, _ in groups:
        by_split[part].append(group)
    if by_split[name]:
        return
    largest = max(by_split.values(), key=len)
    if len(largest) < 2:
        raise CurateError(
            f"The export to {entry.path} has too few different prompts for the splits "
            f"{', '.join(entry.splits or {})}: `{name}` would be empty. Leave `splits` out, or raise "
            "`split_similarity`."
        )
    reader.rows("UPDATE selection SET part = ? WHERE near = ?", [name, largest[0]])
