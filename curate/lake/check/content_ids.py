"""Compute ids anew from the rows that they identify."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from curate.lake.lake import Lake
from curate.records import Message, Part, ToolCall, judgment_id, prompt_id, response_id

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class IdRecipe:
    """The ids of a table: computed by `compute_id` from `columns` of the rows that match `where`."""

    table: str
    id: str
    columns: tuple[str, ...]
    where: str
    compute_id: Callable[[Row], str]


def compute_prompt_id(row: Row) -> str:
    """Compute the id of a row of `prompts`."""
    messages = [_build_message(message) for message in row["messages"] or ()]
    return prompt_id(messages, key=row["key"], reference=row["reference"], tools=row["tools"])


def compute_response_id(row: Row) -> str:
    """Compute the id of a row of `responses`."""
    messages = [_build_message(message) for message in row["messages"] or ()]
    return response_id(row["prompt_id"], messages, key=row["key"], model=row["model"])


def compute_judgment_id(row: Row) -> str:
    """Compute the id of a row of `judgments` that is not a failure."""
    named = {
        "pairwise": [row["response_a"], row["response_b"]],
        "pointwise": [row["response_a"]],
        "listwise": row["listed"] or [],
    }
    return judgment_id(
        prompt=row["prompt_id"],
        annotator=row["annotator_id"],
        revision=row["revision"],
        form=row["form"],
        responses=named.get(row["form"], []),
        shown=row["shown"],
        sample=row["sample"],
        aspect=row["aspect"],
    )


RECIPES = (
    IdRecipe("prompts", "prompt_id", ("messages", "key", "reference", "tools"), "true", compute_prompt_id),
    IdRecipe(
        "responses", "response_id", ("prompt_id", "messages", "key", "model"), "true", compute_response_id
    ),
    # A failed attempt, and an answer that people give to a question of ours, have ids that hold more than the row has.
    IdRecipe(
        "judgments",
        "judgment_id",
        (
            *("prompt_id", "annotator_id", "revision", "form"),
            *("response_a", "response_b", "listed", "shown", "sample", "aspect"),
        ),
        "outcome <> 'failed' AND (kind <> 'human' OR revision = 'imported')",
        compute_judgment_id,
    ),
)


def list_wrong_ids(lake: Lake, recipe: IdRecipe) -> Iterator[str]:
    """Yield the ids that are not the hash of their row's content, batch by batch."""
    columns = ", ".join(f'"{name}"' for name in (recipe.id, *recipe.columns))
    query = f"SELECT {columns} FROM {recipe.table} WHERE {recipe.where}"
    for batch in lake.batches(query, rows=4096):
        for row in batch.to_pylist():
            if row[recipe.id] != recipe.compute_id(row):
                yield row[recipe.id]


def _build_message(message: Row) -> Message:
    parts = tuple(Part.model_construct(**part) for part in message["content"] or ())
    calls = tuple(ToolCall.model_construct(**call) for call in message["tool_calls"] or ())
    return Message.model_construct(**{**message, "content": parts, "tool_calls": calls})
