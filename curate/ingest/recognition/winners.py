"""Meanings of the values of a column of verdicts, by the values and the names of the sides alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from curate.config.mapping import write_value
from curate.ingest.recognition.names import NamePair
from curate.ingest.recognition.wording import (
    mirror_phrase,
    read_comparison,
    read_no_side,
    read_side,
    split_phrase,
)


@dataclass(slots=True)
class WinnerValues:
    """Meanings of values.

    Attributes:
        meanings: Value, as the mapping writes it → a, b, tie, …; those that mean themselves are left out.
        steps: Value → its step on a scale on which more is better for a; empty where values differ in no degree.
        doubts: What is likely, and not certain.
        unknown: Values whose meaning is not known.
        sides: The outcomes that the values name.
    """

    meanings: dict[str, str] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    sides: set[str] = field(default_factory=set)


def read_winner_values(values: Sequence[object], pair: NamePair, column: str) -> WinnerValues:
    """Read what the different values of a column say about the two sides of a pair.

    Args:
        values: The different values.
        pair: The two columns.
        column: Name of the column of verdicts, for the doubts.
    """
    result = WinnerValues()
    texts = {write_value(value): _read_value(value, pair) for value in values}
    sides = _choose_sides({word for word, _ in texts.values()}, pair)
    degrees: dict[str, int] = {}
    for text, (word, degree) in texts.items():
        if sides is None or word not in sides:
            outcome = read_no_side(_leave_out_sides(text if word != "tie" else word, sides or pair.sides))
            if outcome is None:
                result.unknown.append(text)
                continue
            result.sides.add(outcome)
            if text != outcome:
                result.meanings[text] = outcome
            continue
        outcome, other = ("a", "b") if word == sides[0] else ("b", "a")
        result.sides.add(outcome)
        degrees[text] = degree
        if text != outcome:
            result.meanings[text] = outcome
        mirrored = mirror_phrase(text, word, sides)
        if mirrored not in texts and mirrored not in ("a", "b"):
            result.meanings.setdefault(mirrored, other)
            degrees.setdefault(mirrored, degree)
    result.steps = _number_steps(degrees, result.meanings)
    if sides is not None and (sides != pair.sides or sides[1].isdigit()) and not _names_columns(values, pair):
        result.doubts.append(f"`{column}` says {sides[0]!r} for `{pair.a}` and {sides[1]!r} for `{pair.b}`")
    return result


def _read_value(value: object, pair: NamePair) -> tuple[str, int]:
    """Return the word of a value that tells the sides apart, and by how much that side is better."""
    text = write_value(value).strip()
    if text in (pair.a, pair.b):
        return read_side([pair.sides[0 if text == pair.a else 1]], pair.stem)
    if re.fullmatch(r"[-+.\d]+", text):
        return read_side([text], ())
    return read_comparison(text) or read_side(split_phrase(text), pair.stem)


def _leave_out_sides(text: str, sides: tuple[str, str]) -> list[str]:
    """Return the words of a value, without those for the sides where it names both, as "A and B are equal" does."""
    words = split_phrase(text)
    return [word for word in words if word not in (*sides, "nor")] if set(sides) <= set(words) else words


def _choose_sides(words: set[str], pair: NamePair) -> tuple[str, str] | None:
    """Return the two words that stand for a and b: the columns' own, or others that cannot mean anything else."""
    if words & set(pair.sides):
        # `1` beside the columns 0 and 1 is the second, but of 1 and 2 the first: one system must explain all values.
        numbers = {word for word in words if re.fullmatch(r"-?\d+", word)}
        return pair.sides if numbers <= set(pair.sides) or not set(pair.sides) & numbers else None
    for sides in (("a", "b"), ("left", "right"), ("first", "second")):
        if words & set(sides):
            return sides
    numbers = {word for word in words if re.fullmatch(r"-?\d+", word)}
    return ("1", "2") if numbers == {"1", "2"} else None


def _number_steps(degrees: dict[str, int], meanings: dict[str, str]) -> dict[str, int]:
    """Number the degrees of values from the middle of a scale outwards, where there is more than one degree."""
    steps = {degree: step for step, degree in enumerate(sorted(set(degrees.values())), 1)}
    if len(steps) < 2:
        return {}
    return {
        text: steps[degree] if meanings.get(text, text) == "a" else -steps[degree]
        for text, degree in degrees.items()
    }


def _names_columns(values: Sequence[object], pair: NamePair) -> bool:
    return {str(value) for value in values} & {pair.a, pair.b} != set()
