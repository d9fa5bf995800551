"""Read the answers of each form as verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from curate.records import TiedAs
from curate.verify.criteria import CriterionAnswer, unpack_criteria
from curate.verify.exported import Region, RegionValue, TaskData, UnreadableAnswerError
from curate.verify.forms import WITH_MEDIA, Verdict, decide_pair, judge_by_criteria

_Values = dict[str | None, list[RegionValue]]
_CHOICES = (
    "tie",
    "both-bad",
    *(f"{side}-{strength}" for side in ("left", "right") for strength in (1, 2, 3)),
)


def read_answer(task: TaskData, result: Sequence[Region]) -> Verdict:
    """Read an annotation's `result` as a verdict on the responses of its task; an empty answer is an abstention.

    Raises:
        UnreadableAnswerError: It is no answer of this form.
    """
    values: _Values = {}
    for region in result:
        values.setdefault(region.from_name, []).append(region.value)
    rationale = _join_texts(values.get("rationale", [])) or None
    form = task.form.removesuffix(WITH_MEDIA)
    if form == "ranking":
        return _read_ranking(task, values, rationale)
    if form == "rubric":
        return _read_rubric(task, values, rationale)
    choice = next((value.choices[0] for value in values.get("verdict", []) if value.choices), None)
    if form.startswith("pairwise"):
        return _read_pairwise(task, choice, rationale)
    spans = [
        {
            "start": value.start,
            "end": value.end,
            "text": value.text or None,
            "label": next(iter(value.labels), None),
        }
        for value in values.get("spans", [])
    ]
    details: dict[str, Any] = {"verdict": choice} | ({"spans": spans} if spans else {})
    if choice not in ("pass", "fail"):
        return Verdict("abstain", rationale=rationale, details=details)
    return Verdict("a", score=float(choice == "pass"), rationale=rationale, details=details)


def _read_pairwise(task: TaskData, choice: str | None, rationale: str | None) -> Verdict:
    if choice is None:
        return Verdict("abstain", rationale=rationale, details={"verdict": None})
    if choice not in _CHOICES:
        raise UnreadableAnswerError(f"the form has no choice {choice!r}")
    side, _, strength = choice.partition("-")
    details: dict[str, Any] = {"verdict": choice}
    if side not in ("left", "right"):
        tied_as: TiedAs | None = "both-bad" if choice == "both-bad" else None
        return Verdict("tie", tied_as=tied_as, rationale=rationale, details=details)
    winner = task.order[0] if side == "left" else task.order[1]
    details["strength"] = int(strength)
    return decide_pair(task.order, winner, int(strength), rationale=rationale, details=details)


def _read_ranking(task: TaskData, values: _Values, rationale: str | None) -> Verdict:
    columns = next((value.ranker for value in values.get("ranking", []) if value.ranker), {})
    named = [place for column in columns.values() for place in column]
    numbers = [str(number) for number in range(1, len(task.order) + 1)]
    if sorted(named) != sorted(numbers):
        return Verdict("abstain", rationale=rationale, details={"verdict": None})
    places = [int(place) for place in named]
    ranking = tuple(task.order[place - 1] for place in places)
    return Verdict("a", ranking=ranking, rationale=rationale, details={"verdict": places})


def _read_rubric(task: TaskData, values: _Values, rationale: str | None) -> Verdict:
    ticked = {name for value in values.get("met", []) for name in value.choices}
    if not ticked:
        return Verdict("abstain", rationale=rationale, details={"verdict": None})
    try:
        criteria = unpack_criteria(task)
    except ValueError as error:
        raise UnreadableAnswerError(str(error)) from error
    answers = [CriterionAnswer(criterion, criterion.text in ticked) for criterion in criteria]
    return judge_by_criteria(answers, rationale=rationale)


def _join_texts(values: Sequence[RegionValue]) -> str:
    texts = [[value.text] if isinstance(value.text, str) else value.text for value in values]
    return "\n".join("\n".join(lines) for lines in texts).strip()
