"""Gold about the lake's own responses: which of two is better, from a source that is taken for true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.lake.lake import Lake

RankGroups = list[list[str]]  # best first; those of one group are equally good


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldPairs:
    """The gold of a benchmark in the lake's own ids.

    | field        | meaning |
    | ---          | --- |
    | `pairs`      | prompt_id, a, b (a < b), gold (+1 a is better, -1 b is, 0 equal), length_a, length_b |
    | `responses`  | prompt_id, response_id, best; of prompts that have a ranking with more than one rank |
    | `rows`       | rows of the file = `kept` + `duplicates` + the sum of `dropped` |
    | `dropped`    | reason → rows |

    Equal pairs do not count in pairwise accuracy.
    """

    pairs: pl.DataFrame
    responses: pl.DataFrame
    rows: int
    kept: int
    duplicates: int
    dropped: dict[str, int]


def read_gold(lake: Lake, source: Path) -> GoldPairs:
    """Read gold: JSONL of {prompt, ranking: [[best ids], [next], …]} or {prompt, a, b, winner: a | b | tie}.

    Ids are the user's keys or the lake's ids. Rows that name something the lake does not have are dropped and counted.
    """
    rows = list(_read_rows(source))
    names = {row["prompt"] for row in rows if isinstance(row, dict) and isinstance(row.get("prompt"), str)}
    with lake.bind("gold_keys", pl.DataFrame({"name": sorted(names)}, schema={"name": pl.String})):
        known = _KnownNames(lake.rows(read_query("evaluate_keys")))
    collector = _GoldCollector(known)
    for row in rows:
        collector.add_row(row)
    gold = collector.build_gold(len(rows))
    if not (gold.pairs["gold"] != 0).any():
        reasons = (
            ", ".join(f"{count} × {reason}" for reason, count in gold.dropped.items()) or "it has no rows"
        )
        raise CurateError(f"The gold {source} decides no pair of responses in the lake: {reasons}.")
    return gold


class _UnusableGold(Exception):  # noqa: N818 (a verdict on a row, not an error)
    """The reason why a row of gold cannot be used."""


@dataclass(slots=True)
class _KnownResponses:
    by_name: dict[str, set[str]] = field(default_factory=dict)  # key or id → response ids
    lengths: dict[str, int] = field(default_factory=dict)


class _KnownNames:
    """The prompts and responses of the lake by the names that gold can give them: keys and ids."""

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._prompts: dict[str, set[str]] = {}
        self._answers: dict[str, _KnownResponses] = {}
        for prompt_id, prompt_key, response_id, response_key, length in rows:
            for name in (prompt_id, prompt_key):
                self._prompts.setdefault(name, set()).add(prompt_id)
            answers = self._answers.setdefault(prompt_id, _KnownResponses())
            answers.lengths[response_id] = int(length or 0)
            for name in (response_id, response_key):
                answers.by_name.setdefault(name, set()).add(response_id)

    def find_prompt(self, name: str) -> str:
        """Return the id of a prompt; raise _UnusableGold where there is none or more than one."""
        return _take_only(self._prompts.get(name, set()), "prompt")

    def find_response(self, prompt_id: str, name: str) -> str:
        """Return the id of a response, likewise."""
        return _take_only(self._answers[prompt_id].by_name.get(name, set()), "response")

    def find_length(self, prompt_id: str, response_id: str) -> int:
        """Return the number of characters of a response."""
        return self._answers[prompt_id].lengths[response_id]


def _take_only(ids: set[str], noun: str) -> str:
    if not ids:
        raise _UnusableGold(f"unknown {noun}")
    if len(ids) > 1:
        raise _UnusableGold(f"{noun} key that several have")
    return next(iter(ids))


class _GoldCollector:
    """Collects pairs and rankings row by row; the first statement about a pair counts."""

    def __init__(self, known: _KnownNames) -> None:
        self._known = known
        self._pairs: dict[tuple[str, str, str], int] = {}
        self._best: dict[str, dict[str, bool]] = {}
        self._dropped: Counter[str] = Counter()
        self._duplicates = 0

    def add_row(self, row: Any) -> None:
        """Add a row of the file, or count why it is dropped."""
        try:
            prompt_id, groups, whole = self._resolve(row)
        except _UnusableGold as reason:
            self._dropped[str(reason)] += 1
            return
        new = {key: sign for key, sign in _iterate_pairs(prompt_id, groups) if key not in self._pairs}
        if not new:
            self._duplicates += 1
            return
        self._pairs |= new
        if whole and len(groups) > 1:
            best = set(groups[0])
            self._best.setdefault(
                prompt_id, {response_id: response_id in best for group in groups for response_id in group}
            )

    def _resolve(self, row: Any) -> tuple[str, RankGroups, bool]:
        """Return the prompt id, the response ids from best to worst, and whether they are a whole ranking."""
        match row:
            case {"prompt": str(prompt), "ranking": list(ranking)}:
                named, whole = [[group] if isinstance(group, str) else group for group in ranking], True
            case {"prompt": str(prompt), "a": str(a), "b": str(b), "winner": "a" | "b" | "tie" as winner}:
                named = {"a": [[a], [b]], "b": [[b], [a]], "tie": [[a, b]]}[winner]
                whole = False
            case _:
                raise _UnusableGold("not in a format of gold")
        prompt_id = self._known.find_prompt(prompt)
        try:
            groups = [
                [self._known.find_response(prompt_id, name) for name in group] for group in named if group
            ]
        except TypeError:
            raise _UnusableGold("not in a format of gold") from None
        everyone = [response_id for group in groups for response_id in group]
        if len(set(everyone)) < max(2, len(everyone)):
            raise _UnusableGold("fewer than two responses, or one of them twice")
        return prompt_id, groups, whole

    def build_gold(self, rows: int) -> GoldPairs:
        """Build the tables; `rows` is the number of rows of the file."""
        pairs = [
            (
                prompt_id,
                a,
                b,
                sign,
                self._known.find_length(prompt_id, a),
                self._known.find_length(prompt_id, b),
            )
            for (prompt_id, a, b), sign in sorted(self._pairs.items())
        ]
        responses = [
            (prompt_id, response_id, best)
            for prompt_id, answers in sorted(self._best.items())
            for response_id, best in sorted(answers.items())
        ]
        names = {"prompt_id": pl.String, "a": pl.String, "b": pl.String, "gold": pl.Int8}
        dropped = dict(self._dropped)
        return GoldPairs(
            pairs=pl.DataFrame(pairs, {**names, "length_a": pl.Int64, "length_b": pl.Int64}, orient="row"),
            responses=pl.DataFrame(
                responses,
                {"prompt_id": pl.String, "response_id": pl.String, "best": pl.Boolean},
                orient="row",
            ),
            rows=rows,
            kept=rows - self._duplicates - sum(dropped.values()),
            duplicates=self._duplicates,
            dropped=dropped,
        )


def _iterate_pairs(prompt_id: str, groups: RankGroups) -> Iterator[tuple[tuple[str, str, str], int]]:
    ranked = [(rank, response_id) for rank, group in enumerate(groups) for response_id in group]
    for (rank, one), (other_rank, other) in combinations(ranked, 2):
        sign = 0 if rank == other_rank else 1 if rank < other_rank else -1
        yield ((prompt_id, one, other), sign) if one < other else ((prompt_id, other, one), -sign)


def _read_rows(source: Path) -> Iterator[Any]:
    decode = msgspec.json.Decoder().decode
    try:
        lines = source.read_bytes().splitlines()
    except OSError as error:
        raise CurateError(f"Cannot read the benchmark {source}: {error.strerror}.") from error
    for line in lines:
        if line.strip():
            try:
                yield decode(line)
            except msgspec.DecodeError:
                yield None
