"""Logs of Inspect (`inspect eval`): samples with the conversation of a model, and what scorers say of it.

A log is a document (`.json`, or `.eval`, which is an archive of it). The prompt is what was said before the model's
first words, which is the input as the solver put it; the response is all that follows. Each scorer is an annotator
under its own name, so that its ratings of several models, which are in several logs, are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curate.config.ingest import Fields
from curate.data.conversation import Conversation, read_messages
from curate.ingest import foreign
from curate.ingest.chunks import ReadRow
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.rejection import RowError
from curate.ingest.rows import Rating, Row
from curate.ingest.shapes.base import Shape
from curate.ingest.shapes.documents import list_rows_inside

_LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""What Inspect's scorers say (correct, partially, incorrect, no answer), with the numbers that it makes of them."""

_ATTACHMENT = "attachment://"
_MOST_RESTORED = 64 << 20  # characters
_DOCUMENT = (
    "version",
    "status",
    "plan",
    "results",
    "stats",
    "reductions",
    "transcript",
    "tags",
    "location",
    "error",
    "invalidated",
)
_SAMPLE = (
    *(
        "id",
        "epoch",
        "choices",
        "metadata",
        "store",
        "events",
        "model_usage",
        "total_time",
        "working_time",
        "uuid",
    ),
    *("error_retries", "attachments", "sandbox", "files", "setup", "started_at", "completed_at", "limit"),
)


class InspectLog(Shape):
    """A sample of an evaluation by Inspect."""

    fields = Fields(ignore=[*_DOCUMENT, *_SAMPLE], meta=["target"], optional=["target"])
    columns = (frozenset({"eval", "samples"}), frozenset({"eval", "input", "messages", "output"}))
    reads = frozenset({"eval", "samples", "input", "messages", "output", "scores"})
    gathers = True
    description = "logs of Inspect, `.json` and `.eval`; each scorer rates the response"
    example: Mapping[str, Any] | None = {
        "row": {
            "eval": {"model": "maker/m1"},
            "id": 1,
            "epoch": 1,
            "input": "Name a tree.",
            "target": "An oak.",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Name a tree.", "source": "input"},
                {"role": "assistant", "content": "An oak.", "source": "generate"},
            ],
            "output": {"model": "m1", "choices": [{"message": {"role": "assistant", "content": "An oak."}}]},
            "scores": {"match": {"value": "C", "answer": "An oak."}},
        },
        "prompt": [["system", "Be brief."], ["user", "Name a tree."]],
        "responses": ["An oak."],
        "models": ["maker/m1"],
        "verdicts": [],
        "ratings": [{"response": 0, "score": 1.0, "kind": "imported", "annotator": "match"}],
    }

    def gather_rows(self, rows: Iterator[tuple[int, ReadRow]]) -> Iterator[tuple[int, ReadRow]]:
        """Yield the samples of a log as rows."""
        return list_rows_inside(rows, "samples", {"eval": "eval"})

    def read_row(self, row: ForeignRow, reading: SourceSettings) -> Row:
        """Read a sample."""
        if row.get("samples") is not None:
            raise RowError("wrong type", "`samples` is no array of samples.")
        output = row.get("output")
        output = output if isinstance(output, Mapping) else {}
        attachments = _Attachments(row.get("attachments"))
        conversation = {name: attachments.restore(row.get(name)) for name in ("input", "messages")}
        choices = attachments.restore(output.get("choices"))
        prompt, responses = _split_sample(row, conversation, choices if isinstance(choices, list) else [])
        model = foreign.get_text(row, "eval.model") or foreign.get_text(output, "model")
        ratings = list(_read_scores(row.get("scores"), reading)) if len(responses) == 1 else []
        answers = [foreign.make_response(answer, model=model) for answer in responses]
        return foreign.build_row(row, reading, prompt, answers, ratings=ratings)


class _Attachments:
    """Long texts that a log holds once, for messages that name them.

    A small log may name one text often enough to fill any disk, so what is put in is bounded, for each sample.
    """

    def __init__(self, texts: Any) -> None:
        self._texts: Mapping[str, Any] = texts if isinstance(texts, Mapping) else {}
        self._left = _MOST_RESTORED

    def restore(self, value: Any) -> Any:
        """Return messages with the texts in place of their names."""
        if not self._texts:
            return value
        if isinstance(value, str) and value.startswith(_ATTACHMENT):
            text = self._texts.get(value.removeprefix(_ATTACHMENT), value)
            self._left -= len(text) if isinstance(text, str) else 0
            if self._left < 0:
                most = _MOST_RESTORED >> 20
                raise RowError(
                    "too long", f"With its attachments the sample has more than {most} million characters."
                )
            return text
        if isinstance(value, list):
            return [self.restore(item) for item in value]
        if isinstance(value, Mapping):
            return {name: self.restore(item) for name, item in value.items()}
        return value


def _split_sample(
    row: ForeignRow, conversation: Mapping[str, Any], choices: Sequence[Any]
) -> tuple[Conversation, list[Conversation]]:
    """Split a sample into what was asked and what the model answered; several choices are several responses.

    Args:
        row: The sample.
        conversation: Its `input` and `messages`, with their attachments.
        choices: Those of its output.
    """
    given = read_messages(foreign.require_value(conversation, "input"), "input")
    turns = read_messages(conversation["messages"] or [], "messages")
    answers = [
        read_messages(foreign.require_value(choice, "message"), f"output.choices[{place}].message")
        for place, choice in enumerate(choices)
        if isinstance(choice, Mapping)
    ]
    own = sum(turn.role == "assistant" for turn in given)  # answers that belong to the question
    starts = [place for place, turn in enumerate(turns) if turn.role == "assistant"][own:]
    if not starts:
        if not answers or row.get("error"):
            raise RowError("no answer", "The model gave no answer to this sample.")
        return turns or given, answers
    prompt = turns[: starts[0]]
    if len(answers) > 1 and len(starts) == 1:
        return prompt, answers
    last = max(starts)
    return prompt, [turns[starts[0] : last + 1]]


def _read_scores(scores: Any, reading: SourceSettings) -> Iterator[Rating]:
    for name, score in scores.items() if isinstance(scores, Mapping) else ():
        value = score.get("value") if isinstance(score, Mapping) else score
        explanation = score.get("explanation") if isinstance(score, Mapping) else None
        several: Sequence[tuple[str | None, Any]] = (
            list(value.items()) if isinstance(value, Mapping) else [(None, value)]
        )
        for aspect, single in several:
            number = _LETTERS.get(single) if isinstance(single, str) else single
            if isinstance(number, bool | int | float) and number == number:  # a scorer's NaN says nothing
                yield Rating(
                    response=0,
                    annotator=str(name),
                    kind=reading.kind,
                    score=foreign.parse_number(float(number), f"scores.{name}.value"),
                    rationale=explanation if isinstance(explanation, str) and explanation else None,
                    aspect=aspect,
                )
