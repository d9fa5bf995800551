"""Countable constraints of a request (English), as checks of a response to it.

Those that are known:

| in the request                                     | kept when |
| ---                                                | --- |
| "in exactly 3 sentences", "at most 20 words", "with 4 bullet points" | the count fits |
| "about 50 words"                                   | the count is within 20 % |
| "as JSON", "valid JSON"                            | the response is JSON (a code fence around it is fine) |
| "as a numbered list", "as a bulleted list"         | it has at least two such items |
| "in all lower case", "in capital letters"          | it has no letter of the other case |
| "without commas", "do not use the word 'very'"     | it does without |
| "include the word 'sea'"                           | it has the word |
| "start with 'Dear'", "end with 'Bye.'"             | it does |
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import partial
from itertools import islice

from curate.core.json_text import JsonError, parse_json, unwrap_fence

Holds = Callable[[str], bool]

_NUMBERS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_MOST = 100  # constraints of a kind that are looked at: each of them reads the whole response
_NEAR = 0.2  # share of the number by which "about" may miss it


def _is_near(count: int, wanted: int) -> bool:
    return abs(count - wanted) <= _NEAR * wanted


_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "at most": operator.le, "no more than": operator.le, "up to": operator.le, "maximum of": operator.le,
    "at least": operator.ge, "no fewer than": operator.ge, "no less than": operator.ge, "minimum of": operator.ge,
    "fewer than": operator.lt, "less than": operator.lt, "under": operator.lt,
    "more than": operator.gt, "over": operator.gt,
    "about": _is_near, "around": _is_near, "approximately": _is_near,
}  # fmt: skip
# Every pattern here takes linear time, whatever the text (tests/core/test_linear_patterns.py).
_BULLET = re.compile(r"^[^\S\n]*+[-*•]\s++\S", re.MULTILINE)
_NUMBERED = re.compile(r"^[^\S\n]*+\d++[.)]\s++\S", re.MULTILINE)
_COUNTERS: dict[str, Callable[[str], int]] = {
    "word": lambda text: len(text.split()),
    "sentence": lambda text: _count_pieces(text, r"(?<![.!?])[.!?]++(?:[\s\"')\]]++|$)"),
    "line": lambda text: _count_pieces(text, r"\n"),
    "paragraph": lambda text: _count_pieces(text, r"\n\s*\n"),
    "bullet": lambda text: len(_BULLET.findall(text)),
    "item": lambda text: len(_BULLET.findall(text)) + len(_NUMBERED.findall(text)),
}
_COUNT = re.compile(
    rf"\b(exactly|only|just|in|with|using|use|write|give|as|{'|'.join(_COMPARISONS)}) (?:a |an |your answer in )?"
    rf"(?:single |(\d{{1,4}}|{'|'.join(_NUMBERS)})[ -](?:short |single |complete )?)"
    r"(word|sentence|line|paragraph|bullet|item)(?: point)?s?\b(?! (?:of the|from the|above|below))",
    re.IGNORECASE,
)
_AS = r"\b(?:as|in|with|using) a"
_CASE = r"\b(?:all|only|entirely in|in)"
_NOT = r"\b(?:without|do not use|don't use|avoid)(?: using)?"
_QUOTED = r"[\"'“‘]([^\"'”’\n]{1,60})[\"'”’]"
_SHAPES: tuple[tuple[str, Holds], ...] = (
    (r"\b(?:as|in|valid|a) (?:a )?(?:valid )?json\b", lambda text: _is_json(text)),
    (rf"{_AS} bullet(?:ed|[- ]point)? list\b", lambda text: len(_BULLET.findall(text)) >= 2),
    (rf"{_AS} numbered list\b", lambda text: len(_NUMBERED.findall(text)) >= 2),
    (rf"{_CASE} lower[- ]?case\b", lambda text: bool(text.strip()) and text == text.lower()),
    (
        rf"{_CASE} (?:upper[- ]?case|capital letters|capitals|caps)\b",
        lambda text: bool(text.strip()) and text == text.upper(),
    ),
    (rf"{_NOT}(?: any)? commas\b", lambda text: bool(text.strip()) and "," not in text),
)
_WORDS: tuple[tuple[str, Callable[[str, str], bool]], ...] = (
    (
        rf"{_NOT} the (?:word|phrase) {_QUOTED}",
        lambda word, text: bool(text.strip()) and not _has_word(word, text),
    ),
    (
        rf"(?<!not )(?<!n't )\b(?:includ|contain|us|mention)(?:e|es|s|ing)? the (?:word|phrase) {_QUOTED}",
        lambda word, text: _has_word(word, text),
    ),
    (
        rf"\b(?:start|begin)(?:s|ning|ing)? with (?:the \w+ )?{_QUOTED}",
        lambda word, text: text.lstrip(" \n\"'").lower().startswith(word.lower()),
    ),
    (
        rf"\b(?:end|finish)(?:s|ing)? with (?:the \w+ )?{_QUOTED}",
        lambda word, text: text.rstrip(" \n\"'").lower().endswith(word.lower()),
    ),
)


def find_constraints(request: str) -> list[Holds]:
    """Find the checks that a request calls for."""
    counts = [_make_count_check(*match.groups()) for match in islice(_COUNT.finditer(request), _MOST)]
    shapes: list[Holds] = [holds for pattern, holds in _SHAPES if re.search(pattern, request, re.IGNORECASE)]
    words = [
        partial(holds, match[1])
        for pattern, holds in _WORDS
        for match in islice(re.finditer(pattern, request, re.IGNORECASE), _MOST)
        if not request[max(0, match.start() - 8) : match.start()].lower().endswith(("without ", "avoid "))
    ]
    return [*counts, *shapes, *words]


def _make_count_check(bound: str, number: str | None, unit: str) -> Holds:
    numeral = (number or "one").lower()
    wanted = int(numeral) if numeral.isdigit() else _NUMBERS.index(numeral)
    compare: Callable[[int, int], bool] = _COMPARISONS.get(bound.lower(), operator.eq)
    count = _COUNTERS[unit.lower()]
    return lambda text: compare(count(text), wanted)


def _count_pieces(text: str, separator: str) -> int:
    return sum(bool(piece.strip()) for piece in re.split(separator, text))


def _has_word(word: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


def _is_json(text: str) -> bool:
    try:
        parse_json(unwrap_fence(text))
    except JsonError:
        return False
    return True
