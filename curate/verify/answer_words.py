"""Answers as people write them in a spreadsheet or type them in a terminal, form by form.

| form | verdict |
| --- | --- |
| pairwise | first, second (also: first slightly, first much), tie, both good, both bad |
| ranking | the numbers of the responses from best to worst: `2 1 3`, equal ones with =: `2 = 1 3` |
| pass-fail, critique | pass, fail, unsure |
| rubric | the numbers of the criteria that are met: `1 3`, or `none`, or `all` |

`skip` skips a question of any form. Marked words of a critique are lines such as `wrong: the words`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from curate.core.human_forms import AskedAs
from curate.records import TiedAs
from curate.verify.answers import OfflineQuestion
from curate.verify.criteria import CriterionAnswer
from curate.verify.forms import Verdict, decide_pair, judge_by_criteria

WORDS: dict[AskedAs, str] = {
    "pairwise": "first, second, tie or skip (also first much, second slightly, both good, both bad)",
    "ranking": "the numbers from best to worst, such as 2 1 3 (2 = 1 3 where two are equal), or skip",
    "pass-fail": "pass, fail, unsure or skip",
    "critique": "pass, fail, unsure or skip",
    "rubric": "the numbers of the criteria that are met, such as 1 3, or none, all or skip",
}
"""What can be written, for each form."""

SPAN_LABELS = ("wrong", "unsupported", "unclear", "good")
"""Labels of marked words, as `ui_config/critique.xml` has them."""

_STRENGTHS = {"slightly": 1, "": 2, "much": 3}
_TIES: dict[str, TiedAs | None] = {
    "tie": None,
    "0": None,
    "=": None,
    "both good": "both-good",
    "both bad": "both-bad",
}
_SIDES = {"first": 0, "1": 0, "second": 1, "2": 1}


def parse_answer(question: OfflineQuestion, text: str, *, rationale: str | None, spans: str = "") -> Verdict:
    """Read an answer.

    Args:
        question: The question, with its responses in the order shown.
        text: The verdict as it was written.
        rationale: Reasons that the person gives.
        spans: Marked words of a critique, one `label: words` a line.

    Raises:
        ValueError: It says nothing of the kind that the form asks; the message says what to write.
    """
    word = " ".join(text.lower().split())
    if word == "skip":
        return Verdict("abstain", rationale=rationale)
    verdict = _PARSERS[question.asked_as](question, word, rationale)
    if verdict is None:
        short = {"pairwise": "first, second, tie or skip"}.get(question.asked_as, WORDS[question.asked_as])
        raise ValueError(f"verdict is {text.strip()!r}; write {short}")
    marked = parse_spans(question, spans)
    if marked:
        verdict.details["spans"] = marked
    return verdict


def parse_spans(question: OfflineQuestion, text: str) -> list[dict[str, Any]]:
    """Read marked words of a response: each with its label and place.

    Raises:
        ValueError: A line has no label of a span, or its words do not stand in the response.
    """
    spans: list[dict[str, Any]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        label, colon, words = (part.strip() for part in line.partition(":"))
        if not colon or label.lower() not in SPAN_LABELS or not words:
            raise ValueError(
                f"spans has {line!r}; write lines such as `wrong: the words` ({', '.join(SPAN_LABELS)})"
            )
        start = question.texts[0].find(words)
        if start < 0:
            raise ValueError(f"spans marks {words!r}, which does not stand in the response")
        spans.append({"start": start, "end": start + len(words), "text": words, "label": label.lower()})
    return spans


def _parse_pairwise(question: OfflineQuestion, word: str, rationale: str | None) -> Verdict | None:
    if word in _TIES:
        tied_as = _TIES[word]
        stated: dict[str, Any] = {"verdict": tied_as} if tied_as else {}
        return Verdict("tie", tied_as=tied_as, rationale=rationale, details=stated)
    side, _, strength = word.partition(" ")
    if side not in _SIDES or strength not in _STRENGTHS:
        return None
    number = _STRENGTHS[strength] if strength else None  # a plain word says nothing of the strength
    details = {} if number is None else {"verdict": word, "strength": number}
    return decide_pair(
        question.order, question.order[_SIDES[side]], number, rationale=rationale, details=details
    )


def _parse_ranking(question: OfflineQuestion, word: str, rationale: str | None) -> Verdict | None:
    if not re.fullmatch(r"[\d\s,;>=]+", word):
        return None
    places = [[int(n) for n in re.findall(r"\d+", group)] for group in _split_places(word)]
    numbers = [number for place in places for number in place]
    if sorted(numbers) != list(range(1, len(question.order) + 1)):
        return None
    ranking = tuple(question.order[number - 1] for number in numbers)
    scores = None
    if any(len(place) > 1 for place in places):
        by_number = {number: -float(rank) for rank, place in enumerate(places) for number in place}
        scores = tuple(by_number[number] for number in range(1, len(question.order) + 1))
    details = {"verdict": places if scores else numbers}
    return Verdict("a", ranking=ranking, scores=scores, rationale=rationale, details=details)


def _split_places(word: str) -> list[str]:
    """Split `2 = 1 > 3` (also `2=1 3`, `2, 1, 3`) into the groups of equal responses, best first."""
    return re.findall(r"\d+(?:\s*=\s*\d+)*", word)


def _parse_pass_fail(question: OfflineQuestion, word: str, rationale: str | None) -> Verdict | None:
    if word in ("pass", "fail"):
        details = {"verdict": word}
        return Verdict("a", score=float(word == "pass"), rationale=rationale, details=details)
    if word in ("unsure", "cannot tell"):
        return Verdict("abstain", rationale=rationale, details={"verdict": "unsure"})
    return None


def _parse_rubric(question: OfflineQuestion, word: str, rationale: str | None) -> Verdict | None:
    last = len(question.criteria)
    if word == "none":
        met: Sequence[int] = ()
    elif word == "all":
        met = range(1, last + 1)
    elif re.fullmatch(r"\d+([\s,;]+\d+)*", word):
        met = [int(number) for number in re.findall(r"\d+", word)]
    else:
        return None
    if any(not 1 <= number <= last for number in met):
        return None
    answers = [
        CriterionAnswer(criterion, number in met)
        for number, criterion in enumerate(question.criteria, start=1)
    ]
    return judge_by_criteria(answers, rationale=rationale)


_PARSERS: dict[AskedAs, Callable[[OfflineQuestion, str, str | None], Verdict | None]] = {
    "pairwise": _parse_pairwise,
    "ranking": _parse_ranking,
    "pass-fail": _parse_pass_fail,
    "critique": _parse_pass_fail,
    "rubric": _parse_rubric,
}
