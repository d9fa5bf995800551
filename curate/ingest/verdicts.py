"""Statements of a foreign row about its responses: about pairs, and ratings of single ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations
from typing import Any, Literal, cast, get_args

from curate.config.mapping import MoreVerdicts, StatedOutcome, Verdicts, write_value
from curate.ingest.foreign import (
    ForeignRow,
    SourceSettings,
    check_text,
    get_key,
    name_type,
    parse_number,
    parse_probability,
)
from curate.ingest.paths import ABSENT, find_list, find_value, locate_value
from curate.ingest.rejection import RowError
from curate.ingest.rows import Rating, Verdict
from curate.records import Kind, Outcome, Shown, TiedAs

_TIES: dict[str, TiedAs] = {"both_good": "both-good", "both_bad": "both-bad"}
_PEOPLE = frozenset(
    {
        "worker",
        "workerid",
        "crowdworker",
        "crowdworkerid",
        "rater",
        "raterid",
        "labeler",
        "labelerid",
        "labeller",
    }
    | {"labellerid", "participant", "participantid", "userid", "username", "completedby"}
)
"""Names of columns that name people, without what is no letter. `docs/formats.md` lists them."""
_NO_SCORE = ("N/A", "n/a")  # as data sets write it


@dataclass(frozen=True, slots=True)
class Scope:
    """Where the paths of a mapping of verdicts start: at an item of the row, or at the row itself.

    `place`: number of the item among those of `items`, from 1.
    """

    row: ForeignRow
    item: Any
    keys: Verdicts
    reading: SourceSettings
    place: int | None = None

    def find(self, path: str | None) -> Any:
        if path is not None and path.startswith("$."):
            return find_value(self.row, path[2:])
        return find_value(self.item, path)

    def find_text(self, path: str | None) -> str | None:
        value = self.find(path)
        return None if value is None or path is None else check_text(value, path)

    def get_annotator(self) -> str:
        """Return who says so; items whose annotator nothing names are told apart by their numbers."""
        path = self.keys.annotator
        if path is not None:
            value = get_key({path: self.find(path)}, path)
            if value is not None:
                return value
        name = (isinstance(self.keys, MoreVerdicts) and self.keys.name) or self.reading.annotator
        return name if self.place is None else f"{name}-{self.place}"

    def get_kind(self) -> Kind:
        value = self.find_text(self.keys.annotator_kind)
        if value is None:
            kind = (isinstance(self.keys, MoreVerdicts) and self.keys.kind) or self.reading.kind
            is_guess = kind == "imported" and self.reading.may_guess and names_people(self.keys.annotator)
            return "human" if is_guess else kind
        if value not in get_args(Kind):
            allowed = ", ".join(get_args(Kind))
            raise RowError(
                "wrong value", f"`{self.keys.annotator_kind}` is {value!r}, but must be one of {allowed}."
            )
        return cast(Kind, value)

    def get_order(self) -> Shown | None:
        path = self.keys.shown
        value = path if path in ("ab", "ba") else self.find_text(path)
        if value not in (None, "ab", "ba"):
            raise RowError("wrong value", f"`{path}` is {value!r}, but must be 'ab' or 'ba'.")
        return cast(Shown | None, value)

    def is_left_out(self) -> bool:
        """Tell whether the mapping says that this statement does not count."""
        keys = self.keys
        if keys.unless and any(self._has(path, value) for path, value in keys.unless.items()):
            return True
        where = keys.where if isinstance(keys, MoreVerdicts) else {}
        return bool(where) and not all(self._has(path, value) for path, value in where.items())

    def _has(self, path: str, value: str | float) -> bool:
        actual = self.find(path)
        return actual is not None and write_value(actual) == write_value(value)

    @property
    def best(self) -> Literal["high", "low"] | None:
        return getattr(self.keys, "best", None)


@lru_cache(maxsize=256)
def names_people(path: str | None) -> bool:
    """Tell whether a column holds people by its name: crowd workers, raters, users.

    >>> names_people("WorkerId"), names_people("ASSIGNMENT:worker_id"), names_people("annotator")
    (True, True, False)
    """
    return path is not None and re.sub(r"[^a-z]", "", re.split(r"[.:]", path.lower())[-1]) in _PEOPLE


def list_scopes(row: ForeignRow, reading: SourceSettings) -> Iterator[Scope]:
    """List where verdicts of a row are read: its own keys, then the entries of `verdicts` and their items.

    Raises:
        RowError: `items` leads to something that is no list.
    """
    own = Scope(row, row, reading.fields, reading)
    entries = (_list_entry_scopes(row, entry, reading) for entry in reading.fields.verdicts)
    for scope in chain([own], *entries):
        if not scope.is_left_out():
            yield scope


def _list_entry_scopes(row: ForeignRow, entry: MoreVerdicts, reading: SourceSettings) -> Iterator[Scope]:
    if entry.items is None:
        scopes = [Scope(row, row, entry, reading)]
    else:
        items = find_list(row, entry.items)
        if items is None:
            return
        if not isinstance(items, list):
            raise RowError("wrong type", f"`{entry.items}` is {name_type(items)}, but should be an array.")
        scopes = [Scope(row, item, entry, reading, place) for place, item in enumerate(items, 1)]
    yield from scopes


def states_pair(keys: Verdicts) -> bool:
    """Tell whether a mapping of verdicts says which of two is better."""
    return keys.winner is not None or keys.score_a is not None


def read_statement(scope: Scope, a: int = 0, b: int = 1) -> Verdict | None:
    """Read what is said about the responses at the places a and b; None where an entry of `verdicts` says nothing.

    Raises:
        RowError: A value is missing, has no meaning, or two values contradict each other.
    """
    keys = scope.keys
    margin = _compare_two_scores(scope)
    if keys.winner is None:
        if margin is None:
            if isinstance(keys, MoreVerdicts):
                return None
            raise RowError("missing key", f"`{keys.score_a}` or `{keys.score_b}` is missing.")
        outcome: StatedOutcome = "a" if margin > 0 else "b" if margin < 0 else "tie"
    else:
        verdict = _read_winner(scope)
        if verdict is None:
            return None
        outcome, distance = verdict
        if margin is not None and ((outcome == "a" and margin < 0) or (outcome == "b" and margin > 0)):
            reason = (
                f"`{keys.winner}` says {outcome}, but `{keys.score_a}` and `{keys.score_b}` say the other."
            )
            raise RowError("contradiction", reason)
        margin = distance if margin is None else margin
    p_a = scope.find(keys.p_a)
    return Verdict(
        a=a,
        b=b,
        annotator=scope.get_annotator(),
        kind=scope.get_kind(),
        winner="tie" if outcome in _TIES else cast(Outcome, outcome),
        p_a=None if p_a is None else parse_probability(p_a, keys.p_a or "p_a"),
        shown=scope.get_order(),
        rationale=scope.find_text(keys.rationale),
        margin=_read_margin(scope, outcome) if keys.margin is not None else margin,
        aspect=keys.aspect,
        tied_as=_TIES.get(outcome),
    )


def parse_outcome(value: object, place: str, winners: Mapping[str, StatedOutcome]) -> StatedOutcome:
    """Return what the value of a verdict means."""
    name = write_value(value) if isinstance(value, str | int | float) else ""
    stated = winners.get(name) or winners.get(str(value))
    if stated is None and isinstance(value, bool):
        stated = winners.get(str(int(value)))
    if stated is None and name.lower() in (
        "yes",
        "no",
        "on",
        "off",
    ):  # YAML reads such keys as true and false
        stated = winners.get("true" if name.lower() in ("yes", "on") else "false")
    if stated is None and name in get_args(StatedOutcome):
        stated = cast(StatedOutcome, name)
    if stated is None:
        allowed = ", ".join([*winners, *get_args(Outcome)])
        raise RowError("wrong value", f"`{place}` is {value!r}, but must be one of {allowed}.")
    return stated


def _read_winner(scope: Scope) -> tuple[StatedOutcome, float | None] | None:
    """Read the winner and, on a scale, by how much; None where an entry of `verdicts` has no value."""
    keys = scope.keys
    if isinstance(keys.winner, dict):
        raised = [(path, outcome) for path, outcome in keys.winner.items() if _is_true(scope.find(path))]
        if len(raised) != 1:
            raise RowError(
                "wrong value", f"Exactly one of {', '.join(keys.winner)} must be 1, not {len(raised)}."
            )
        return raised[0][1], None
    assert keys.winner is not None
    value = scope.find(keys.winner)
    if value is None:
        if isinstance(keys, MoreVerdicts):
            return None
        raise RowError("missing key", f"`{keys.winner}` is missing.")
    name = write_value(value) if isinstance(value, str | bool | int | float) else None
    if keys.scale is None or name in keys.winners:
        outcome = parse_outcome(value, keys.winner, keys.winners)
        return outcome, None if keys.scale else _measure_steps(value, outcome, keys.winners)
    a, b = keys.scale.a, keys.scale.b
    number = keys.scores[name] if name in keys.scores else parse_number(value, keys.winner)
    if not min(a, b) <= number <= max(a, b):
        raise RowError(
            "wrong value", f"`{keys.winner}` is {number:g}, but its scale goes from {a:g} to {b:g}."
        )
    margin = (number - (a + b) / 2) * (1 if a > b else -1) or 0.0  # not -0.0
    return "a" if margin > 0 else "b" if margin < 0 else "tie", margin


def _measure_steps(
    value: object, outcome: StatedOutcome, winners: Mapping[str, StatedOutcome]
) -> float | None:
    """Return the margin of a verdict where the values of `winners` are the steps of a scale: several numbers a side.

    The steps on one side of the middle must all mean one outcome; otherwise they are names, and say no strength.
    """
    sides: dict[str, list[float]] = {"a": [], "b": [], "tie": []}
    for name, meaning in winners.items():
        if meaning not in sides or not re.fullmatch(r"-?\d+(\.\d+)?", name):
            return None
        sides[meaning].append(float(name))
    a, b, ties = sides["a"], sides["b"], sides["tie"]
    if len(a) < 2 or len(a) != len(b) or len(ties) > 1:
        return None
    is_rising = max(b) < min(a)
    if not is_rising and max(a) >= min(b):
        return None
    middle = (max(b) + min(a)) / 2 if is_rising else (max(a) + min(b)) / 2
    if any(tie != middle for tie in ties) or outcome not in sides:
        return None
    distance = abs(parse_number(value, "winner") - middle)
    return -distance if outcome == "b" else distance


def _is_true(value: object) -> bool:
    return isinstance(value, str | bool | int | float) and write_value(value) in ("1", "true")


def _compare_two_scores(scope: Scope) -> float | None:
    keys = scope.keys
    if keys.score_a is None or keys.score_b is None:
        return None
    scores = [parse_score(scope.find(path), path, keys, flags=True) for path in (keys.score_a, keys.score_b)]
    if scores[0] is None or scores[1] is None:
        return None
    return (scores[0] - scores[1]) * (-1 if scope.best == "low" else 1) or 0.0  # not -0.0


def _read_margin(scope: Scope, outcome: StatedOutcome) -> float | None:
    value = scope.find(scope.keys.margin)
    if value is None or outcome not in ("a", "b"):
        return None
    margin = parse_number(value, scope.keys.margin or "margin")
    if margin < 0:
        raise RowError("wrong value", f"`{scope.keys.margin}` is {margin:g}, but must be at least 0.")
    return margin if outcome == "a" else -margin


def parse_score(value: object, place: str, keys: Verdicts, *, flags: bool = False) -> float | None:
    """Return a score, or None where there is none; `flags`: true and false are 1 and 0."""
    if value is None or value in _NO_SCORE:
        return None
    if keys.scores and isinstance(value, str | bool | int | float) and write_value(value) in keys.scores:
        return keys.scores[write_value(value)]
    if flags and isinstance(value, bool):
        return float(value)
    return parse_number(value, place)


def compare_scores(scores: Sequence[float | None], scope: Scope) -> list[Verdict]:
    """Turn scores of a row's responses into verdicts about its pairs; no verdict where one has no score."""
    annotator, kind, why = scope.get_annotator(), scope.get_kind(), scope.find_text(scope.keys.rationale)
    sign = -1 if scope.best == "low" else 1
    verdicts = []
    for a, b in combinations(range(len(scores)), 2):
        first, second = scores[a], scores[b]
        if first is not None and second is not None:
            margin = sign * (first - second)
            winner: Outcome = "a" if margin > 0 else "b" if margin < 0 else "tie"
            verdict = Verdict(
                a=a,
                b=b,
                annotator=annotator,
                kind=kind,
                winner=winner,
                rationale=why,
                margin=None if scope.best == "low" else margin,  # a difference of ranks is no margin
                aspect=scope.keys.aspect,
            )
            verdicts.append(verdict)
    return verdicts


def list_scores(scope: Scope, path: str, values: Sequence[Any], *, flags: bool = False) -> list[float | None]:
    """Read a number for each response: at a path in the responses, or a list beside them."""
    cells = list_beside(scope, path, values)
    return [parse_score(value, place, scope.keys, flags=flags) for value, place in cells]


def list_scores_by_column(scope: Scope, columns: Sequence[str]) -> list[float | None]:
    """Read the number that stands in a column of its own for each response.

    Args:
        scope: Whose scores they are.
        columns: The columns of the responses that the row has.
    """
    scores, responses = scope.reading.fields.response_score, scope.reading.fields.responses
    if isinstance(scores, dict) and isinstance(responses, dict):
        beside = {responses[model]: path for model, path in scores.items()}
    else:
        assert isinstance(scores, list)  # `Fields` holds both to one form
        assert isinstance(responses, list)
        beside = dict(zip(responses, scores, strict=True))
    paths = [beside.get(column) for column in columns]
    return [None if path is None else parse_score(scope.find(path), path, scope.keys) for path in paths]


def list_beside(scope: Scope, path: str, values: Sequence[Any]) -> list[tuple[Any, str]]:
    """Return what each response has at a path, and where it stands: in the response, else in a list beside them.

    Raises:
        RowError: The list is of another length than the responses.
    """
    inside = [locate_value(value, path) if isinstance(value, Mapping) else ABSENT for value in values]
    responses = scope.reading.fields.responses
    if any(item is not ABSENT for item in inside):
        name = responses if isinstance(responses, str) else "response"
        return [
            (None if item is ABSENT else item, f"{name}[{place}].{path}") for place, item in enumerate(inside)
        ]
    beside = find_list(scope.item, path)
    if beside is None:
        return [(None, path)] * len(values)
    if not isinstance(beside, list):
        reason = f"`{path}` is {name_type(beside)}, but should be an array with one entry for each response."
        raise RowError("wrong type", reason)
    if len(beside) != len(values):
        reason = f"`{path}` has {len(beside)} entries, but there are {len(values)} responses."
        raise RowError("lists of different lengths", reason)
    return [(item, f"{path}[{place}]") for place, item in enumerate(beside)]


def read_ratings(scope: Scope, values: Sequence[Any], aspects: Mapping[str, str]) -> list[Rating]:
    """Read the ratings of responses by single criteria."""
    if not aspects:
        return []
    annotator, kind = scope.get_annotator(), scope.get_kind()
    return [
        Rating(response=place, annotator=annotator, kind=kind, score=score, aspect=aspect)
        for aspect, path in aspects.items()
        for place, score in enumerate(list_scores(scope, path, values))
        if score is not None
    ]
