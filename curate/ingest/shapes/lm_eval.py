"""Samples of the LM Evaluation Harness (`lm_eval --log_samples`, `samples_TASK_DATE.jsonl`): what a model generated.

Of a document that several filters read (`strict-match`, `flexible-extract`), the response is one, and each metric with
its filter is an annotator under the name that the harness gives it (`exact_match,strict-match`). Metrics that say
whether the answer is right rate the whole; any other is an aspect, for its better end is not written in the file.
Choices by log-likelihood have no response.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from curate.config.ingest import Fields
from curate.data.conversation import Conversation, read_messages
from curate.ingest import foreign
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.paths import find_value, parse_json_text
from curate.ingest.rejection import RowError
from curate.ingest.rows import Rating, Row
from curate.ingest.shapes.base import Shape
from curate.ingest.turns import CHATML_MARK, parse_marked_text

_RIGHT = frozenset({"exact_match", "acc", "correct", "pass@1", "pass_at_1"})
_OTHER = frozenset(
    {"metrics", "filter", "doc_id", "doc", "doc_hash", "prompt_hash", "target_hash", "target", "arguments"}
    | {"resps", "filtered_resps", "input", "bypass"}
)


class LmEval(Shape):
    """A document with what a model generated for it."""

    fields = Fields(
        ignore=["doc_id", "doc_hash", "prompt_hash", "target_hash", "metrics", "filter", "filtered_resps"],
        meta=["doc", "target"],
        optional=["doc", "target"],
    )
    columns = (
        frozenset({"arguments", "doc_id", "resps"}),
        frozenset({"arguments", "doc_id", "filtered_resps"}),
    )
    reads = frozenset({"arguments", "resps", *_RIGHT})
    description = (
        "samples that the LM Evaluation Harness logs (`samples_*.jsonl`), whose metrics rate the response; the model "
        "is not in the file, and `fields: {responses: {MODEL: resps}}` names it"
    )
    example: Mapping[str, Any] | None = {
        "row": {
            "doc_id": 0,
            "doc": {"question": "How many legs has a spider?", "answer": "8"},
            "target": "8",
            "arguments": {
                "gen_args_0": {"arg_0": "Q: How many legs has a spider?\nA:", "arg_1": {"until": ["Q:"]}}
            },
            "resps": [["It has 8 legs."]],
            "filtered_resps": ["8"],
            "filter": "strict-match",
            "metrics": ["exact_match"],
            "exact_match": 1.0,
        },
        "prompt": [["user", "Q: How many legs has a spider?\nA:"]],
        "responses": ["It has 8 legs."],
        "verdicts": [],
        "ratings": [{"response": 0, "score": 1.0, "annotator": "exact_match,strict-match"}],
    }

    def read_row(self, row: ForeignRow, reading: SourceSettings) -> Row:
        """Read a document."""
        model = _name_model(reading)
        responses = [
            foreign.make_response(read_messages(text, "resps", role="assistant"), model=model)
            for text in _list_answers(row)
        ]
        ratings = list(_read_metrics(row, reading)) if len(responses) == 1 else []
        return foreign.build_row(row, reading, _read_prompt(row, reading), responses, ratings=ratings)


def _name_model(reading: SourceSettings) -> str | None:
    named = reading.fields.responses
    return next(iter(named)) if isinstance(named, Mapping) else None


def _read_prompt(row: ForeignRow, reading: SourceSettings) -> Conversation:
    """Read the context that the model continued: a text, or JSON text of messages where an API was asked."""
    arguments = row.get("arguments")
    first = find_value(arguments, "gen_args_0" if isinstance(arguments, Mapping) else "0")
    text = find_value(first, "arg_0" if isinstance(first, Mapping) else "0")
    if text is None:
        raise RowError("missing key", "`arguments` has no context that the model continued.")
    parsed = parse_json_text(text) if isinstance(text, str) else text
    is_chat = isinstance(parsed, list) and bool(parsed) and all(isinstance(turn, Mapping) for turn in parsed)
    if isinstance(text, str) and text.startswith(CHATML_MARK) and reading.fields.transcript is None:
        parsed, is_chat = (
            parse_marked_text(text, "arguments[0][0]", "chatml"),
            True,
        )  # `--apply_chat_template`
    return foreign.build_prompt(
        row, reading, parsed if is_chat else foreign.check_text(text, "arguments[0][0]")
    )


def _list_answers(row: ForeignRow) -> list[str]:
    """List what was generated: one text for each repetition of the one request."""
    requests = row.get("resps", row.get("filtered_resps"))
    if not isinstance(requests, list) or not requests:
        raise RowError("no responses", "`resps` is empty.")
    answers = requests[0] if isinstance(requests[0], list) else requests
    if (len(requests) > 1 and requests is not answers) or not all(isinstance(text, str) for text in answers):
        reason = "`resps` holds log-likelihoods of given choices, and no text that a model generated."
        raise RowError("no answer", reason)
    if not answers:
        raise RowError("no responses", "`resps` is empty.")
    return answers


def _read_metrics(row: ForeignRow, reading: SourceSettings) -> Iterator[Rating]:
    listed = row.get("metrics")
    names = listed if isinstance(listed, list) else [name for name in row if name not in _OTHER]
    suffix = f",{row['filter']}" if isinstance(row.get("filter"), str) else ""
    for name in names:
        value = row.get(name)
        if isinstance(value, bool | int | float) and name not in _OTHER:
            yield Rating(
                response=0,
                annotator=f"{name}{suffix}",
                kind=reading.kind,
                score=foreign.parse_number(float(value), str(name)),
                aspect=None if name in _RIGHT else str(name),
            )
