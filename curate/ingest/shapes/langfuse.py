"""Langfuse: generations and traces with their scores, as its tables, its API and its blob storage export them.

Each score is a rating of the one response, by the criterion that it is named for: nobody says what it means and which
end of it is good, so no score counts for a label of the whole (`aggregate.aspects` makes labels of single ones).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from curate.config.ingest import Fields
from curate.data.conversation import Conversation, normalize_tools, read_messages
from curate.ingest import foreign
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.paths import open_json
from curate.ingest.rejection import RowError
from curate.ingest.rows import Rating, Row
from curate.ingest.shapes.base import Shape
from curate.ingest.shapes.openai_log import list_tools, read_answers, read_request

_MODELS = ("model", "providedModelName", "provided_model_name")
_BOOKKEEPING = (
    *("id", "projectId", "project_id", "traceId", "trace_id", "sessionId", "session_id", "userId", "user_id"),
    *(
        "parentObservationId",
        "parent_observation_id",
        "timestamp",
        "startTime",
        "start_time",
        "endTime",
        "end_time",
    ),
    *("createdAt", "created_at", "updatedAt", "updated_at", "completionStartTime", "completion_start_time"),
    *(
        "latency",
        "usage",
        "usageDetails",
        "usage_details",
        "costDetails",
        "cost_details",
        "totalCost",
        "total_cost",
    ),
    *(
        "modelParameters",
        "model_parameters",
        "htmlPath",
        "bookmarked",
        "public",
        "release",
        "version",
        "level",
    ),
    *("statusMessage", "status_message", "observations", "timeToFirstToken", "time_to_first_token"),
)


class Langfuse(Shape):
    """A generation, or a trace that holds the messages of one."""

    fields = Fields(meta=["name", "tags"], ignore=list(_BOOKKEEPING), optional=["name", "tags"])
    columns = tuple(
        frozenset({"input", "output", name}) for name in ("traceId", "trace_id", "sessionId", "session_id")
    )
    reads = frozenset({"input", "output", "scores", "type", *_MODELS})
    reads_json = True
    description = "Langfuse, generations or traces; their scores are ratings by a criterion each"
    example: Mapping[str, Any] | None = {
        "row": {
            "id": "g1",
            "traceId": "t1",
            "type": "GENERATION",
            "model": "m1",
            "input": {"messages": [{"role": "user", "content": "Name a tree."}]},
            "output": {"role": "assistant", "content": "An oak."},
            "scores": [{"name": "helpful", "value": 1, "source": "ANNOTATION", "dataType": "NUMERIC"}],
        },
        "prompt": [["user", "Name a tree."]],
        "responses": ["An oak."],
        "models": ["m1"],
        "verdicts": [],
        "ratings": [{"response": 0, "score": 1.0, "kind": "human", "aspect": "helpful"}],
    }

    def read_row(self, row: ForeignRow, reading: SourceSettings) -> Row:
        """Read a generation and its scores."""
        kind = row.get("type")
        if kind is not None and kind != "GENERATION":
            raise RowError(
                "no call of a model", f"The observation is of the type {kind!r}, and no GENERATION."
            )
        asked, answer = (_parse(foreign.require_value(row, name)) for name in ("input", "output"))
        model = next((row[name] for name in _MODELS if row.get(name)), None)
        name = None if model is None else foreign.check_text(model, "model")
        responses = [foreign.make_response(messages, model=name) for messages in _read_output(answer)]
        ratings = list(_read_scores(row, reading))
        if ratings and len(responses) != 1:
            raise RowError(
                "wrong value", "`output` has several answers, and `scores` do not say which they are about."
            )
        read = foreign.build_row(row, reading, _read_input(asked), responses, ratings=ratings)
        if isinstance(asked, Mapping):
            read.tools = normalize_tools(list_tools(asked), "input.tools")
        return read


def _parse(value: Any) -> Any:
    """Return what JSON in a cell holds, where it is an object or an array; any other text is a text."""
    parsed = open_json(value)
    return parsed if isinstance(parsed, Mapping | list) else value


def _read_input(value: Any) -> Conversation:
    if isinstance(value, Mapping) and "role" not in value:
        if all(value.get(name) is None for name in ("messages", "input", "prompt")):
            raise RowError(
                "no messages", "`input` is an object without `messages`, so what was asked is not known."
            )
        return read_request(value)
    return read_messages(value, "input")


def _read_output(value: Any) -> list[Conversation]:
    if isinstance(value, Mapping) and (value.get("choices") or value.get("output")):
        return read_answers(value)
    return [read_messages(value, "output", role="assistant")]


def _read_scores(row: ForeignRow, reading: SourceSettings) -> Iterator[Rating]:
    scores = _parse(row.get("scores"))
    if not scores:
        return
    if not isinstance(scores, list) or not all(isinstance(score, Mapping) for score in scores):
        raise RowError(
            "wrong type", f"`scores` is {foreign.name_type(scores)}, but should be an array of scores."
        )
    for place, score in enumerate(scores):
        where = f"scores[{place}]"
        name, value = foreign.check_text(score.get("name"), f"{where}.name"), score.get("value")
        if value is None or str(score.get("dataType") or score.get("data_type")) in ("CATEGORICAL", "TEXT"):
            continue  # words, which have no order
        by_person = score.get("source") == "ANNOTATION"
        person = score.get("authorUserId") or score.get("author_user_id")
        yield Rating(
            response=0,
            annotator=str(person or reading.annotator) if by_person else f"{reading.annotator} {name}",
            kind="human" if by_person else reading.kind,
            score=float(value) if isinstance(value, bool) else foreign.parse_number(value, f"{where}.value"),
            rationale=None if score.get("comment") is None else str(score["comment"]),
            aspect=name,
        )
