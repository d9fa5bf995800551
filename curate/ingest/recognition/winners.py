"""Meanings of the values of a column of verdicts, by the values and the names of the sides alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from curate.config.mapping import write_value
from curate.ingest.recognition.names import NamePair, split_name

_FILLERS = frozenset(
    {
        *(
            "response",
            "answer",
            "model",
            "assistant",
            "output",
            "option",
            "completion",
            "system",
            "candidate",
            "is",
        ),
        *(
            "better",
            "wins",
            "win",
            "choice",
            "the",
            "text",
            "summary",
            "generation",
            "conversation",
            "reply",
            "preferred",
        ),
        *("best", "prefer", "argument", "winner"),
    }
)
_TIES = frozenset(
    {
        "tie",
        "tied",
        "equal",
        "same",
        "both",
        "draw",
        "equally good",
        "both good",
        "good tie",
        "about the same",
    }
)
_GOOD_TIES = frozenset({"equally good", "both good", "good tie"})
_BAD_TIES = frozenset(
    {"neither", "both bad", "bothbad", "tie bothbad", "tie both bad", "bad tie", "equally bad"}
)
_ABSTAIN = frozenset(
    {"abstain", "unsure", "skip", "skipped", "unknown", "cannot decide", "not sure", "can not decide"}
)
_FAILED = frozenset({"failed", "invalid", "error"})


@dataclass(slots=True)
class WinnerValues:
    """Meanings of values.

    Attributes:
        meanings: Value, as the mapping writes it → a, b, tie, …; those that mean themselves are left out.
        doubts: What is likely, and not certain.
        unknown: Values whose meaning is not known.
        sides: The outcomes that the values name.
    """

    meanings: dict[str, str] = field(default_factory=dict)
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
    texts = {write_value(value): _simplify_value(value, pair) for value in values}
    words = set(texts.values())
    sides = _choose_sides(words, pair)
    for text, word in texts.items():
        outcome = _read_word(word, sides)
        if outcome is None:
            result.unknown.append(text)
            continue
        result.sides.add(outcome)
        if text != outcome:
            result.meanings[text] = outcome
        if outcome in ("a", "b") and sides is not None:
            other = _mirror_value(text, word, sides)
            if other not in texts and other not in ("a", "b"):
                result.meanings.setdefault(other, "b" if outcome == "a" else "a")
    if sides is not None and (sides != pair.sides or sides[1].isdigit()) and not _names_columns(values, pair):
        result.doubts.append(f"`{column}` says {sides[0]!r} for `{pair.a}` and {sides[1]!r} for `{pair.b}`")
    return result


def _simplify_value(value: object, pair: NamePair) -> str:
    """Return the word of a value that tells the sides apart, without `model`, `response`, brackets and the like."""
    text = write_value(value)
    if text in (pair.a, pair.b):
        return pair.sides[0 if text == pair.a else 1]
    if re.fullmatch(r"-?\d+\.0", text):
        text = text[:-2]
    if re.fullmatch(r"[-+.\d]+", text.strip()):
        return text.strip()
    words = [word for word in split_name(text) if word]
    if " ".join(words) in _TIES | _GOOD_TIES | _BAD_TIES | _ABSTAIN:
        return " ".join(words)
    rest = [word for word in words if word not in _FILLERS and word not in pair.stem]
    return " ".join(rest) if rest else " ".join(words)


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


def _read_word(word: str, sides: tuple[str, str] | None) -> str | None:
    if sides is not None and word in sides:
        return "a" if word == sides[0] else "b"
    if word in _BAD_TIES:
        return "both_bad"
    if word in _GOOD_TIES:
        return "both_good"
    if word in _TIES:
        return "tie"
    if word in _ABSTAIN:
        return "abstain"
    return "failed" if word in _FAILED else None


def _mirror_value(text: str, word: str, sides: tuple[str, str]) -> str:
    """Return the value that the other side would have: `model_a` for `model_b`."""
    other = sides[1] if word == sides[0] else sides[0]
    head, match, tail = text, "", ""
    for match_ in re.finditer(re.escape(word), text, re.IGNORECASE):
        head, match, tail = text[: match_.start()], match_[0], text[match_.end() :]
    return f"{head}{other.upper() if match.isupper() else other.capitalize() if match[:1].isupper() else other}{tail}"


def _names_columns(values: Sequence[object], pair: NamePair) -> bool:
    return {str(value) for value in values} & {pair.a, pair.b} != set()
