"""Statements about all responses of a row: a ranking of them, or which one is the best or the worst."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.ingest.foreign import check_text, name_type, parse_number
from curate.ingest.paths import find_list
from curate.ingest.rejection import RowError
from curate.ingest.rows import Verdict
from curate.ingest.verdicts import Scope, compare_scores


@dataclass(frozen=True, slots=True)
class Naming:
    """Names, texts and places of a row's responses.

    Attributes:
        names: The names under which each is known: key, model, column.
        texts: The text of each, where it is one text.
        places: The place of each in the row, from 0; others are missing there.
    """

    names: Sequence[Sequence[str]]
    texts: Sequence[str | None]
    places: Sequence[int]

    def find(self, name: object, path: str, *, places_from: int | None) -> list[int]:
        """Return the responses that a value names, by their numbers: several may be called so, as by one model.

        Raises:
            RowError: It names none.
        """
        if isinstance(name, int | float) and not isinstance(name, bool) and places_from is None:
            reason = (
                f"`{path}` holds numbers: where these are ranks beside the responses, write `response_score` with "
                "`best: low`; where they are places of the responses, the best first, `places_from: 0` (or 1)."
            )
            raise RowError("wrong type", reason)
        if places_from is not None and (number := parse_place(name)) is not None:
            if number - places_from not in self.places:
                reason = f"`{path}` is {name}, but the row has no response there, counted from {places_from}."
                raise RowError("wrong value", reason)
            return [self.places.index(number - places_from)]
        if not isinstance(name, str):
            raise RowError("wrong type", f"`{path}` is {name_type(name)}, but should name a response.")
        numbers = [number for number, names in enumerate(self.names) if name in names] or [
            number
            for number, text in enumerate(self.texts)
            if text is not None and text.strip() == name.strip()
        ]
        if not numbers:
            raise RowError("wrong value", f"`{path}` names {name[:80]!r}, which is no response of the row.")
        return numbers


def parse_place(value: object) -> int | None:
    """Return the whole number that a value is, as JSON or CSV has it; None where it is none."""
    return int(float(str(value))) if re.fullmatch(r"\d+(\.0)?", str(value)) else None


def split_ranking(text: str) -> list[list[str]]:
    """Split a ranking that is written as text, the best first.

    >>> split_ranking("x > y = z")
    [['x'], ['y', 'z']]
    """
    return [[name.strip() for name in re.split(r"[=~]+", group)] for group in re.split(r">+", text)]


def read_ranking(scope: Scope, naming: Naming) -> list[Verdict]:
    """Read a ranking of responses: names from best to worst, lists for equals, objects {value, rank}, or `x > y = z`.

    Raises:
        RowError: It is no ranking, or names a response that the row does not have.
    """
    path = scope.keys.ranking or "ranking"
    value = find_list(scope.item, path)
    if value is None:
        return []
    ranks: dict[int, float] = {}
    for rank, name in _list_ranks(value, path):
        for number in naming.find(name, path, places_from=scope.keys.places_from):
            if number in ranks:
                raise RowError("wrong value", f"`{path}` names {name!r} twice.")
            ranks[number] = rank
    verdicts = compare_scores(
        [-ranks[number] if number in ranks else None for number in range(len(naming.names))], scope
    )
    for verdict in verdicts:
        verdict.margin = None  # a difference of ranks is none
    return verdicts


def _list_ranks(value: Any, path: str) -> Iterator[tuple[float, object]]:
    if isinstance(value, Mapping):
        for name, rank in value.items():
            yield parse_number(rank, f"{path}.{name}"), str(name)
        return
    if isinstance(value, str) and re.search("[>=]", value):
        value = split_ranking(value)
    if not isinstance(value, list):
        raise RowError("wrong type", f"`{path}` is {name_type(value)}, but should be an array of names.")
    for place, item in enumerate(value, 1):
        if isinstance(item, Mapping):
            name, rank = item.get("value", item.get("id")), item.get("rank")
            yield (
                parse_number(rank, f"{path}[{place - 1}].rank"),
                check_text(name, f"{path}[{place - 1}].value"),
            )
        else:
            yield from ((place, name) for name in (item if isinstance(item, list) else [item]))


def read_extremes(scope: Scope, naming: Naming) -> list[Verdict]:
    """Read which response is better than all others of the row, and which is worse; nothing where values are missing.

    Raises:
        RowError: A value names no response of the row, or several; or both name one.
    """
    best = _find_one(scope, naming, scope.keys.best_response)
    worst = _find_one(scope, naming, scope.keys.worst_response)
    if best is not None and best == worst:
        reason = f"`{scope.keys.best_response}` and `{scope.keys.worst_response}` name the same response."
        raise RowError("wrong value", reason)
    numbers = range(len(naming.names))
    ordered = [(best, other) for other in numbers if best is not None and other != best]
    ordered += [(other, worst) for other in numbers if worst is not None and other not in (best, worst)]
    annotator, kind, why = scope.get_annotator(), scope.get_kind(), scope.find_text(scope.keys.rationale)
    return [
        Verdict(
            a=min(better, worse),
            b=max(better, worse),
            annotator=annotator,
            kind=kind,
            winner="a" if better < worse else "b",
            rationale=why,
            aspect=scope.keys.aspect,
        )
        for better, worse in ordered
    ]


def _find_one(scope: Scope, naming: Naming, path: str | None) -> int | None:
    value = None if path is None else scope.find(path)
    if path is None or value is None:
        return None
    numbers = naming.find(value, path, places_from=scope.keys.places_from)
    if len(numbers) > 1:
        raise RowError(
            "wrong value", f"`{path}` is {str(value)[:80]!r}, and {len(numbers)} responses are called so."
        )
    return numbers[0]
