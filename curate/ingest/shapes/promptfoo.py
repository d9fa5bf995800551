"""Results of promptfoo (`promptfoo eval -o results.json` or `.jsonl`): outputs of providers, and scores of assertions.

`score` is promptfoo's own number for the whole output, from 0 to 1, and higher is better; `namedScores` are by one
criterion each. Outputs of several providers for one rendered prompt are responses to one prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from curate.config.ingest import Fields
from curate.data.conversation import Conversation, read_messages
from curate.ingest import foreign
from curate.ingest.chunks import ReadRow
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.paths import parse_json_text
from curate.ingest.rejection import RowError
from curate.ingest.rows import Rating, Row
from curate.ingest.shapes.base import Shape
from curate.ingest.shapes.documents import list_rows_inside

_DOCUMENT = (
    "evalId",
    "config",
    "shareableUrl",
    "metadata",
    "createdAt",
    "author",
    "id",
    "description",
    "version",
)
_RESULT = (
    *(
        "promptIdx",
        "testIdx",
        "promptId",
        "vars",
        "testCase",
        "latencyMs",
        "cost",
        "tokenUsage",
        "failureReason",
    ),
    *("traceId", "evaluationId", "success"),
)


class Promptfoo(Shape):
    """An output of one provider."""

    fields = Fields(ignore=[*_DOCUMENT, *_RESULT])
    columns = (
        frozenset({"evalId", "results"}),
        frozenset({"config", "results"}),
        frozenset({"prompt", "provider", "response", "testIdx"}),
    )
    reads = frozenset(
        {"results", "prompt", "provider", "response", "score", "namedScores", "gradingResult", "error"}
    )
    gathers = True
    description = (
        "results of promptfoo, `.json` and `.jsonl`; its score rates the response, each named score an aspect"
    )
    example: Mapping[str, Any] | None = {
        "row": {
            "promptIdx": 0,
            "testIdx": 0,
            "prompt": {"raw": "Name a tree.", "label": "Name a {{kind}}."},
            "provider": {"id": "maker:m1", "label": ""},
            "vars": {"kind": "tree"},
            "response": {"output": "An oak."},
            "success": True,
            "score": 0.75,
            "namedScores": {"brevity": 1},
            "gradingResult": {"pass": True, "score": 0.75, "reason": "It is a tree."},
        },
        "prompt": [["user", "Name a tree."]],
        "responses": ["An oak."],
        "models": ["maker:m1"],
        "verdicts": [],
        "ratings": [
            {"response": 0, "score": 0.75, "annotator": "promptfoo", "rationale": "It is a tree."},
            {"response": 0, "score": 1.0, "annotator": "promptfoo", "aspect": "brevity"},
        ],
    }

    def gather_rows(self, rows: Iterator[tuple[int, ReadRow]]) -> Iterator[tuple[int, ReadRow]]:
        """Yield the results of an evaluation as rows."""
        return list_rows_inside(rows, "results.results", {})

    def read_row(self, row: ForeignRow, reading: SourceSettings) -> Row:
        """Read one output with its scores."""
        asked = foreign.check_text(foreign.require_value(row, "prompt.raw"), "prompt.raw")
        response = row.get("response")
        output = response.get("output") if isinstance(response, Mapping) else response
        if output is None:
            error = row.get("error") or (response.get("error") if isinstance(response, Mapping) else None)
            reason = f"The provider gave no output{f': {error}' if isinstance(error, str) else ''}"
            raise RowError("no answer", f"{reason[:200].rstrip('.')}.")
        text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
        answer = foreign.make_response(
            read_messages(text, "response.output", role="assistant"),
            model=_name_provider(row.get("provider")),
        )
        return foreign.build_row(
            row, reading, _read_prompt(asked), [answer], ratings=list(_read_scores(row, reading))
        )


def _read_prompt(text: str) -> Conversation:
    """Read a rendered prompt: a text, or JSON text of messages."""
    parsed = parse_json_text(text)
    is_chat = (
        isinstance(parsed, list)
        and bool(parsed)
        and all(isinstance(turn, Mapping) and "role" in turn for turn in parsed)
    )
    return read_messages(parsed if is_chat else text, "prompt.raw")


def _name_provider(provider: Any) -> str | None:
    if isinstance(provider, Mapping):
        provider = provider.get("label") or provider.get("id")
    return provider if isinstance(provider, str) and provider else None


def _read_scores(row: ForeignRow, reading: SourceSettings) -> Iterator[Rating]:
    grading = row.get("gradingResult")
    grading = grading if isinstance(grading, Mapping) else {}
    reason = grading.get("reason")
    overall = row.get("score", grading.get("score"))
    overall = row.get("success", grading.get("pass")) if overall is None else overall
    named = row.get("namedScores") or grading.get("namedScores") or {}
    scores = {None: overall, **(named if isinstance(named, Mapping) else {})}
    for aspect, value in scores.items():
        if isinstance(value, bool | int | float):
            yield Rating(
                response=0,
                annotator="promptfoo",
                kind=reading.kind,
                score=foreign.parse_number(
                    float(value), "score" if aspect is None else f"namedScores.{aspect}"
                ),
                rationale=reason if aspect is None and isinstance(reason, str) and reason else None,
                aspect=aspect,
            )
