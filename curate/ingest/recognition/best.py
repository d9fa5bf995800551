"""Columns that say which of a row's answers is the best, or rank them all: by text, by name or by place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.config.mapping import list_columns
from curate.ingest.context import is_context
from curate.ingest.paths import find_value, open_json
from curate.ingest.rankings import parse_place, split_ranking
from curate.ingest.recognition import names as words
from curate.ingest.recognition.content import Column
from curate.ingest.recognition.names import has_word
from curate.ingest.recognition.proposal import Proposal

_MOSTLY = 0.8  # share of the rows in which a column names an answer
_BEST = frozenset(
    {"best", "better", "chosen", "winner", "preferred", "selected", "selection", "choice", "pick"}
)
"""Words of columns whose number is a place; `label` may be a class of its own."""
_WORST = frozenset({"worst", "least"})
"""Words of the answer that all others beat; `rejected` may be one that was drawn from many."""


@dataclass(frozen=True, slots=True)
class _Answers:
    """The answers of a row by the mapping so far: how many, their texts, and what they are called."""

    count: int
    texts: frozenset[str]
    names: frozenset[str]

    def has(self, value: object) -> bool:
        return isinstance(value, str) and (value in self.names or value.strip() in self.texts)


@dataclass(frozen=True, slots=True)
class _Places:
    """A column with places of answers: the key that may read it, and each place with the number of answers."""

    key: str
    column: str
    places: list[tuple[int, int]]


def read_best(proposal: Proposal, columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]) -> None:
    """Let the mapping read a ranking of the answers, or the best and the worst, where nothing says verdicts yet.

    A column that repeats an answer and is not called as verdicts are is a problem: it may be the better one.

    Args:
        proposal: The mapping.
        columns: Profiles of all columns.
        rows: Sampled rows.
    """
    if proposal.says_verdicts or not {"responses", "a"} & proposal.fields.keys():
        return
    answers = [_list_answers(row, proposal.fields) for row in rows]
    places: dict[str, _Places] = {}
    for column in columns.values():
        if column.name in proposal.used or is_context(column.name) or words.is_reference(column.name):
            continue
        cells = [
            (row[column.name], known) for row, known in zip(rows, answers, strict=True) if column.name in row
        ]
        cells = [(value, known) for value, known in cells if value not in (None, "")]
        if "responses" in proposal.fields and _ranks(column, cells):
            proposal.read("ranking", column.name)
            proposal.doubts.append(f"`{column.name}` names the answers from the best to the worst")
        elif _is_mostly(known.has(value) for value, known in cells):
            _read_named(proposal, column)
        elif "responses" in proposal.fields and (listed := _list_places(column, cells)) is not None:
            places.setdefault(listed.key, listed)
        if proposal.problems or "ranking" in proposal.fields:
            break
    else:
        _read_places(proposal, [listed for key, listed in places.items() if key not in proposal.fields])
    keys = {"ranking", "best_response", "worst_response"} & proposal.fields.keys()
    proposal.says_verdicts = bool(keys) and not proposal.problems


def _read_named(proposal: Proposal, column: Column) -> None:
    key = "worst_response" if has_word(column.name, _WORST) else "best_response"
    if key in proposal.fields:
        return
    if key == "best_response" and has_word(column.name, words.WORSE):
        proposal.problems.append(
            f"`{column.name}` names the worse answer by its name: write `worst_response: {column.name}` where all "
            f"others are better, or `ignore: [{column.name}]`"
        )
    elif key == "worst_response" or has_word(column.name, words.VERDICTS):
        proposal.read(key, column.name)
        proposal.doubts.append(f"`{column.name}` is the {key.partition('_')[0]} of a row's answers")
    elif column.is_prose:
        proposal.problems.append(
            f"`{column.name}` repeats one of the answers, and nothing says whether it is the best: write "
            f"`best_response: {column.name}` where it is, or `ignore: [{column.name}]`"
        )


def _list_places(column: Column, cells: Sequence[tuple[object, _Answers]]) -> _Places | None:
    is_worst = has_word(column.name, _WORST)
    is_best = has_word(column.name, _BEST) and not has_word(column.name, words.WORSE)
    if column.content != "number" or not (is_worst or is_best):
        return None
    places = [(place, known.count) for value, known in cells if (place := parse_place(value)) is not None]
    if len(places) < len(cells):
        return None
    return _Places("worst_response" if is_worst else "best_response", column.name, places)


def _read_places(proposal: Proposal, columns: Sequence[_Places]) -> None:
    """Let the mapping read places that all count from 0, or all from 1."""
    places = [place for column in columns for place in column.places]
    bases = [base for base in (0, 1) if all(0 <= place - base < count for place, count in places)]
    if not columns or not bases:
        return
    if len(bases) > 1:
        first = columns[0]
        end = first.key.partition("_")[0]
        proposal.problems.append(
            f"`{first.column}` may be the place of the {end} answer, and nothing says whether places count from 0 or "
            f"1: write `{first.key}: {first.column}` with `places_from: 0` or `places_from: 1`"
        )
        return
    proposal.fields["places_from"] = bases[0]
    for column in columns:
        proposal.read(column.key, column.column)
        end = column.key.partition("_")[0]
        proposal.doubts.append(f"`{column.column}` is the place of the {end} answer, counted from {bases[0]}")


def _ranks(column: Column, cells: Sequence[tuple[object, _Answers]]) -> bool:
    """Tell whether a column lists answers by their names, or puts `>` between them."""
    if not has_word(column.name, words.RANKS | words.VERDICTS):
        return False
    return _is_mostly(
        len(names) > 1 and all(known.has(name) for name in names) for names, known in _list_ranked(cells)
    )


def _list_ranked(cells: Sequence[tuple[object, _Answers]]) -> Iterator[tuple[list[object], _Answers]]:
    for value, known in cells:
        value = open_json(value) if isinstance(value, str) else value
        if isinstance(value, str):
            yield [name for group in split_ranking(value) for name in group], known
        else:
            yield value if isinstance(value, list) else [], known


def _is_mostly(hits: Iterator[bool]) -> bool:
    listed = list(hits)
    return bool(listed) and sum(listed) >= _MOSTLY * len(listed)


def _list_answers(row: Mapping[str, Any], fields: Mapping[str, Any]) -> _Answers:
    responses = fields.get("responses") or [fields["a"], fields["b"]]
    names: list[object] = []
    if isinstance(responses, str):
        items = row.get(responses)
        items = open_json(items) if isinstance(items, str) else items
        items = items if isinstance(items, list) else []
        values = [
            item.get(fields.get("response_text", "text")) if isinstance(item, Mapping) else item
            for item in items
        ]
        for key in ("response_id", "response_model"):
            beside = row.get(fields.get(key, ""))
            names += beside if isinstance(beside, list) else []
            names += [item.get(fields.get(key, "")) for item in items if isinstance(item, Mapping)]
    else:
        values = [find_value(row, path) for path in list_columns(responses)]
        names += list(responses)
        names += [row.get(fields.get(key, "")) for key in ("model_a", "model_b")]
    return _Answers(
        len(values),
        frozenset(value.strip() for value in values if isinstance(value, str)),
        frozenset(name for name in names if isinstance(name, str)),
    )
