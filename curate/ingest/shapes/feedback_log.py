"""Feedback logs of an application: one event a row, each signal an annotator of its own (`docs/formats.md`).

What a choice among several responses says depends on what was seen (Joachims et al. 2005, "Accurately Interpreting
Clickthrough Data as Implicit Feedback"; with logged propensities: Joachims et al. 2017, arXiv 1608.04468). The one that
was taken is better than those shown before it, which must have been seen. One shown after it was seen with the logged
`propensity` e; if it was not, the choice says nothing of it: so P(taken is better) = e · 1 + (1 - e) · 1/2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from curate.config.ingest import Fields
from curate.data.conversation import read_messages
from curate.data.reactions import REACTION_SCORES, read_reaction
from curate.ingest import foreign, mapped
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.rejection import RowError
from curate.ingest.rows import IncomingResponse, Rating, Row, Verdict
from curate.ingest.shapes.base import Shape
from curate.records import Shown, plain_text

_READS = (
    *("signal", "response", "edited", "accepted", "comment", "event"),
    *("position", "propensity", "dwell", "next"),
)


@dataclass(frozen=True, slots=True)
class Exposure:
    """The showing of a response: its place from 0, the probability that it was seen there, and for how many seconds."""

    position: int | None
    propensity: float | None
    dwell: float | None


@dataclass(frozen=True, slots=True)
class FeedbackEvent:
    """An event: the responses shown, and the number of the one that it is about."""

    row: ForeignRow
    responses: list[IncomingResponse]
    exposures: list[Exposure]
    about: int
    rationale: str | None


class FeedbackLog(Shape):
    """Events of an application that shows responses to its users."""

    fields = Fields(
        prompt="prompt",
        responses="responses",
        response_id="id",
        response_text="text",
        response_model="model",
        system="system",
        tools="tools",
    )
    columns = (frozenset({"prompt", "responses", "signal"}),)
    reads = frozenset(_READS)
    kind = "implicit"
    description = "an application's log of what users did with responses"

    def read_row(self, row: ForeignRow, reading: SourceSettings) -> Row:
        """Read an event; its verdicts are those of the annotator of its signal."""
        signal = foreign.check_text(foreign.require_value(row, "signal"), "signal")
        if signal not in _SIGNALS:
            raise RowError(
                "wrong value", f"`signal` is {signal!r}, but must be one of {', '.join(_SIGNALS)}."
            )
        shown = mapped.read_list(row, reading)
        if not shown.responses:
            raise RowError("no responses", "`responses` is empty.")
        path = reading.fields.responses
        values = foreign.require_value(row, path if isinstance(path, str) else "responses")
        event = FeedbackEvent(
            row=row,
            responses=shown.responses,
            exposures=[_read_exposure(value, place) for place, value in enumerate(values)],
            about=_find_response(row, shown.responses),
            rationale=_describe(row),
        )
        statements = _SIGNALS[signal](event)
        shown.verdicts = [item for item in statements if isinstance(item, Verdict)]
        shown.ratings = [item for item in statements if isinstance(item, Rating)]
        if signal == "edit":
            shown.responses = [*shown.responses, _read_edited(event)]
        return shown


def _read_exposure(value: object, place: int) -> Exposure:
    if not isinstance(value, dict):
        return Exposure(None, None, None)
    where = f"responses[{place}]"
    position, propensity, dwell = (value.get(name) for name in ("position", "propensity", "dwell"))
    if position is not None and (not isinstance(position, int) or isinstance(position, bool) or position < 0):
        raise RowError("wrong value", f"`{where}.position` is {position!r}, but should be a number from 0.")
    return Exposure(
        position,
        None if propensity is None else foreign.parse_probability(propensity, f"{where}.propensity"),
        None if dwell is None else foreign.parse_number(dwell, f"{where}.dwell"),
    )


def _find_response(row: ForeignRow, responses: list[IncomingResponse]) -> int:
    """Return the number of the response that `response` names: by its id or number, or the only one."""
    named = row.get("response")
    if named is None:
        if len(responses) == 1 or row["signal"] in ("regenerate", "dwell"):
            return 0
        raise RowError(
            "missing key", "`response` is missing: it says which of `responses` the signal is about."
        )
    for number, response in enumerate(responses):
        if response.id is not None and response.id == named:
            return number
    if isinstance(named, int) and not isinstance(named, bool) and 0 <= named < len(responses):
        return named
    raise RowError(
        "wrong value", f"`response` is {named!r}, which is no id or number (from 0) of `responses`."
    )


def _describe(row: ForeignRow) -> str | None:
    """Return the user's comment and the event's id, by which equal signals of two events stay two."""
    comment, event = foreign.get_text(row, "comment"), foreign.get_key(row, "event")
    words = [comment] if comment else []
    return " ".join([*words, f"[event {event}]"] if event is not None else words) or None


def _rate(annotator: str, score: float) -> Callable[[FeedbackEvent], list[Verdict | Rating]]:
    """A signal that rates the response which it is about."""

    def read(event: FeedbackEvent) -> list[Verdict | Rating]:
        return [_make_rating(event, event.about, annotator, score)]

    return read


def _choose(annotator: str) -> Callable[[FeedbackEvent], list[Verdict | Rating]]:
    """A signal that the user takes one of the responses shown; one alone is rated."""

    def read(event: FeedbackEvent) -> list[Verdict | Rating]:
        if len(event.responses) == 1:
            return [_make_rating(event, 0, annotator, 1.0)]
        others = [other for other in range(len(event.responses)) if other != event.about]
        verdicts = [_compare(event, annotator, other) for other in others]
        return [verdict for verdict in verdicts if verdict is not None]

    return read


def _read_acceptance(event: FeedbackEvent) -> list[Verdict | Rating]:
    accepted = event.row.get("accepted", True)
    if not isinstance(accepted, bool):
        raise RowError("wrong type", f"`accepted` is {accepted!r}, but should be true or false.")
    return _choose("accept")(event) if accepted else _rate("accept", 0.0)(event)


def _read_regeneration(event: FeedbackEvent) -> list[Verdict | Rating]:
    """A user who asks again is not content: the last response is better than the one that it took the place of."""
    last = len(event.responses) - 1
    if last == event.about:
        raise RowError(
            "no responses", "A regeneration needs two `responses`: the one before, and the new one last."
        )
    return [_make_verdict(event, "regenerate", last, event.about)]


def _read_edit(event: FeedbackEvent) -> list[Verdict | Rating]:
    """An edited text is better than what it was made of; it is a response of nobody's model, after those shown."""
    edited, before = _read_edited(event), event.responses[event.about]
    if edited.text == before.text:
        raise RowError("no edit", "`edited` is the response as it was: the signal is `accept` then.")
    return [_make_verdict(event, "edit", len(event.responses), event.about)]


def _read_edited(event: FeedbackEvent) -> IncomingResponse:
    text = foreign.check_text(foreign.require_value(event.row, "edited"), "edited")
    return IncomingResponse(id=None, text=text)


def _read_dwell(event: FeedbackEvent) -> list[Verdict | Rating]:
    """The longer a response was looked at, the better."""
    seconds = [
        (number, exposure.dwell)
        for number, exposure in enumerate(event.exposures)
        if exposure.dwell is not None
    ]
    if not seconds:
        raise RowError("missing key", "No response has `dwell`, the seconds for which it was looked at.")
    return [_make_rating(event, number, "dwell", value) for number, value in seconds]


def _read_next_turn(event: FeedbackEvent) -> list[Verdict | Rating]:
    """Rate the response by what the user said next, where that says anything of it (English)."""
    reply = foreign.check_text(foreign.require_value(event.row, "next"), "next")
    reaction = read_reaction(_get_question(event.row.get("prompt")), reply)
    if reaction is None:
        return []
    rating = _make_rating(event, event.about, "next-turn", REACTION_SCORES[reaction])
    rating.rationale = reaction
    return [rating]


def _get_question(prompt: object) -> str:
    messages = read_messages(prompt, "prompt")
    return plain_text(messages[-1].content) if messages else ""


_SIGNALS: dict[str, Callable[[FeedbackEvent], list[Verdict | Rating]]] = {
    "thumbs_up": _rate("thumbs", 1.0),
    "thumbs_down": _rate("thumbs", 0.0),
    "choose": _choose("choose"),
    "copy": _choose("copy"),
    "accept": _read_acceptance,
    "regenerate": _read_regeneration,
    "edit": _read_edit,
    "dwell": _read_dwell,
    "next_turn": _read_next_turn,
}


def _compare(event: FeedbackEvent, annotator: str, other: int) -> Verdict | None:
    """Compare the response that was taken with another one, as far as that was seen; None where nobody knows."""
    taken, passed = event.exposures[event.about], event.exposures[other]
    if taken.position is None or passed.position is None or passed.position <= taken.position:
        return _make_verdict(event, annotator, event.about, other)
    if not passed.propensity:
        return None
    verdict = _make_verdict(event, annotator, event.about, other)
    verdict.p_a = (1.0 + passed.propensity) / 2.0
    return verdict


def _make_verdict(event: FeedbackEvent, annotator: str, better: int, worse: int) -> Verdict:
    return Verdict(
        a=better,
        b=worse,
        annotator=annotator,
        kind="implicit",
        winner="a",
        shown=_order(event, better, worse),
        rationale=event.rationale,
    )


def _order(event: FeedbackEvent, first: int, second: int) -> Shown | None:
    if max(first, second) >= len(event.exposures):  # an edited text was not shown
        return None
    a, b = event.exposures[first].position, event.exposures[second].position
    return None if a is None or b is None or a == b else "ab" if a < b else "ba"


def _make_rating(event: FeedbackEvent, number: int, annotator: str, score: float) -> Rating:
    return Rating(
        response=number, annotator=annotator, kind="implicit", score=score, rationale=event.rationale
    )
