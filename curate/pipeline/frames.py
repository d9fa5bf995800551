"""Read frames of any kind (polars, pandas, Arrow, `datasets`, lists of dicts) as rows of the native formats.

Nothing is guessed: a column that is not known, a value that is missing or a key that occurs twice is one sentence.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, Protocol

import polars as pl
import pyarrow as pa

from curate.core.errors import CurateError
from curate.data.native import JudgmentsRow, ResponsesRow
from curate.ingest.native import make_native_judgments_decoder, make_native_responses_decoder
from curate.ingest.rejection import RowError
from curate.records import Kind

Row = dict[str, Any]


class ArrowStream(Protocol):
    """A frame that gives its rows to others through Arrow: polars, pandas and pyarrow do."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...


Frame = ArrowStream | Iterable[Mapping[str, Any]]
"""What the functions take as a frame; a `datasets.Dataset` is one too, since it gives a dict for each row."""

_VOTE = ("prompt", "a", "b", "annotator", "winner")
_VOTE_KEYS = ("prompt", "a", "b", "annotator")
_LONG = ("id", "prompt", "reference", "meta", "response", "response_id", "model")
_SHARED = ("prompt", "reference", "meta")  # what all rows of a prompt have in common in the long form
_LISTED = 12  # columns that an error names


def read_rows(frame: Frame, name: str) -> tuple[list[Row], list[str]]:
    """Read a frame as dicts, and the names of its columns.

    Args:
        frame: polars or pandas frame, Arrow table, `datasets.Dataset`, anything that streams Arrow, or dicts.
        name: What errors call it.

    Returns:
        One dict for each row, nulls as None, and the columns in their order.

    Raises:
        CurateError: It is no such thing, has no rows, or has a column twice or of mixed types.
    """
    try:
        rows, columns = _read_frame(frame, name)
    except (pa.ArrowException, pl.exceptions.PolarsError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise CurateError(
            f"{name}: a column cannot be read ({reason}): give each column values of one type."
        ) from error
    for column in columns:
        if columns.count(column) > 1:
            raise CurateError(f"{name}: two columns are called `{column}`: rename or drop one.")
    if not rows:
        raise CurateError(f"{name} has no rows: there is nothing to work on.")
    return rows, columns


def _read_frame(frame: Any, name: str) -> tuple[list[Row], list[str]]:
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame.to_dicts(), frame.columns
    if type(frame).__module__.partition(".")[0] == "pandas":
        # Through Arrow, which reads its NaN and NaT as null; the index holds no column.
        return _read_table(pa.Table.from_pandas(frame, preserve_index=False))
    if hasattr(frame, "with_format") and hasattr(frame, "__len__") and not isinstance(frame, Mapping):
        return _read_table(
            frame.with_format("arrow")[:]
        )  # a `datasets.Dataset`, as it is selected and shuffled
    if hasattr(frame, "__arrow_c_stream__"):
        return _read_table(pa.table(frame))
    if isinstance(frame, str | bytes | Mapping) or not isinstance(frame, Iterable):
        hint = ""
        if isinstance(frame, Mapping):
            hint = f" (of several splits, name one: {', '.join(map(str, list(frame)[:_LISTED]))})"
        raise CurateError(
            f"{name} is a {type(frame).__name__}{hint}: give a polars or pandas frame, an Arrow table, a "
            "`datasets.Dataset` or a list of dicts."
        )
    rows = list(frame)
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise CurateError(f"{name}[{number}] is a {type(row).__name__}, but each row must be a dict.")
    return [dict(row) for row in rows], list(dict.fromkeys(column for row in rows for column in row))


def _read_table(table: pa.Table) -> tuple[list[Row], list[str]]:
    return table.to_pylist(), list(table.column_names)


def check_columns(
    columns: Sequence[str], name: str, *, required: Collection[str], known: Collection[str]
) -> None:
    """Raise a CurateError where a required column is missing, or one is there that nobody would read."""
    listed = ", ".join(map(str, columns[:_LISTED])) + (", …" if len(columns) > _LISTED else "")
    for column in required:
        if column not in columns:
            raise CurateError(
                f"{name}: there is no column `{column}` (columns: {listed}): add it, or rename the one that holds it."
            )
    for column in columns:
        if column not in known:
            close = difflib.get_close_matches(str(column), [other for other in known if other not in columns])
            hint = (
                f"did you mean `{close[0]}`? Rename it" if close else f"known are {', '.join(known)}; drop it"
            )
            raise CurateError(f"{name}: unknown column `{column}`: {hint}, so that nothing is left unread.")


def read_votes(votes: Frame, *, kind: Kind, name: str = "votes") -> list[Row]:
    """Read votes as rows of the native judgments format.

    | column      | type                             | meaning |
    | ---         | ---                              | --- |
    | `prompt`    | text or whole number             | the prompt's key |
    | `a`, `b`    | text or whole number             | keys of two responses to it |
    | `annotator` | text or whole number             | who says so |
    | `winner`    | a, b, tie, abstain or failed     | which of the two is better |
    | `kind`      | optional: human, llm, rule, …    | what the annotator is |
    | `shown`     | optional: ab or ba               | which response the annotator saw first |
    | `p_a`       | optional: 0 … 1                  | the annotator's probability that a is better |
    | `rationale` | optional: text                   | why |

    Args:
        votes: A frame with these columns.
        kind: The annotators' kind where there is no column `kind`.
        name: What errors call the frame.

    Returns:
        One native row for each vote, in the frame's order; whole numbers as text.

    Raises:
        CurateError: A column or value is not as the table says; it names the row, counted from 0.
    """
    rows, columns = read_rows(votes, name)
    check_columns(columns, name, required=_VOTE, known=JudgmentsRow.model_fields)
    native = [{"kind": kind, **row, **_as_keys(row, _VOTE_KEYS)} for row in rows]
    _check_native(
        native, make_native_judgments_decoder(), [f"{name}[{number}]" for number in range(len(native))]
    )
    return native


def derive_responses(votes: Sequence[Row]) -> list[Row]:
    """Build the native rows of the responses that votes speak of, without their texts."""
    keys: dict[str, dict[str, None]] = {}
    for vote in votes:
        keys.setdefault(vote["prompt"], {}).update({vote["a"]: None, vote["b"]: None})
    return [
        {"id": prompt, "prompt": "(not given)", "responses": [{"id": key, "text": ""} for key in responses]}
        for prompt, responses in keys.items()
    ]


def read_responses(responses: Frame, *, name: str = "responses") -> list[Row]:
    """Read prompts with their responses as rows of the native responses format.

    Either one row for each prompt, or (the long form) one row for each response:

    | column        | a row is a prompt                    | a row is a response |
    | ---           | ---                                  | --- |
    | `id`          | text or whole number: the prompt's key | optional; default: the text of the prompt |
    | `prompt`      | text, or messages {role, content}    | the same; equal in all rows of one `id` |
    | `responses`   | list of {id, text, model?}           | – |
    | `response`    | –                                    | text |
    | `response_id` | –                                    | optional, the response's key; default: `model` |
    | `model`       | –                                    | optional: who wrote it |
    | `reference`   | optional: a reference answer         | the same |
    | `meta`        | optional: an object, kept as it is   | the same |

    Args:
        responses: A frame of one of the two forms.
        name: What errors call it.

    Returns:
        One native row for each prompt, in the order in which they come; whole numbers as text.

    Raises:
        CurateError: A column or value is not as the table says; it names the row, counted from 0.
    """
    rows, columns = read_rows(responses, name)
    if "responses" in columns:
        check_columns(columns, name, required=("id", "prompt"), known=ResponsesRow.model_fields)
        native, first = [_as_native(row) for row in rows], list(range(len(rows)))
        _check_distinct(native, name)
    elif "response" in columns:
        check_columns(columns, name, required=("prompt",), known=_LONG)
        native, first = _group_rows(rows, columns, name)
    else:
        check_columns(columns, name, required=("prompt",), known=(*_LONG, "responses"))
        raise CurateError(
            f"{name}: there is neither a column `responses` (a list of {{id, text, model}} for each prompt) nor "
            "`response` (the text, one row for each response): add one of them."
        )
    _check_native(native, make_native_responses_decoder(), [f"{name}[{number}]" for number in first])
    return native


def _as_native(row: Row) -> Row:
    listed = row.get("responses")
    if isinstance(listed, list | tuple):
        listed = [
            {**item, **_as_keys(item, ("id",))} if isinstance(item, Mapping) else item for item in listed
        ]
    return {**row, **_as_keys(row, ("id",)), "responses": listed}


def _check_distinct(rows: Sequence[Row], name: str) -> None:
    first: dict[object, int] = {}
    for number, row in enumerate(rows):
        key = row.get("id")
        if isinstance(key, str) and first.setdefault(key, number) != number:
            raise CurateError(
                f"{name}[{number}]: the `id` {key!r} is that of {name}[{first[key]}] too: give each prompt its own, or "
                "put its responses into one row."
            )


def _group_rows(rows: Sequence[Row], columns: Sequence[str], name: str) -> tuple[list[Row], list[int]]:
    """Put the responses of each prompt into one native row; returns with each the number of its first row."""
    own_key = "id" if "id" in columns else "prompt"
    response_key = "response_id" if "response_id" in columns else "model"
    if response_key not in columns:
        raise CurateError(
            f"{name}: there is neither a column `response_id` nor `model` to tell the responses to a prompt apart: "
            "add `response_id`."
        )
    grouped: dict[str, Row] = {}
    first: dict[str, int] = {}
    keys: dict[str, set[str]] = {}
    for number, row in enumerate(rows):
        where = f"{name}[{number}]"
        prompt, key = (_take_key(row, column, where) for column in (own_key, response_key))
        shared = {column: row.get(column) for column in _SHARED}
        entry = grouped.setdefault(prompt, {"id": prompt, **shared, "responses": []})
        if first.setdefault(prompt, number) != number:
            _check_group(entry, shared, where, f"{name}[{first[prompt]}]")
        if key in keys.setdefault(prompt, set()):
            raise CurateError(
                f"{where}: the prompt {_shorten(prompt)!r} has a response with `{response_key}` {key!r} already: give "
                "each of its responses a `response_id` of its own."
            )
        keys[prompt].add(key)
        if not isinstance(row.get("response"), str):
            raise CurateError(
                f"{where}: `response` is {describe_value(row.get('response'))}, but must be text."
            )
        response = {"id": key, "text": row["response"], "model": row.get("model")}
        entry["responses"].append({**response, **_as_keys(response, ("model",))})
    return list(grouped.values()), list(first.values())


def _take_key(row: Row, column: str, where: str) -> str:
    key = _as_keys(row, (column,)).get(column)
    if not isinstance(key, str) or not key:
        raise CurateError(
            f"{where}: `{column}` is {describe_value(key)}, but tells rows apart: it must be text or a whole number."
        )
    return key


def _check_group(entry: Row, shared: Row, where: str, before: str) -> None:
    for column, value in shared.items():
        if entry[column] != value:
            raise CurateError(
                f"{where}: `{column}` differs from {before}, which has the same `id`: give different prompts different "
                "ids."
            )


def _check_native(rows: Sequence[Row], decoder: Callable[[Row], object], places: Sequence[str]) -> None:
    """Hold each row to the native format, by the decoder that `curate ingest` uses."""
    for row, place in zip(rows, places, strict=True):
        try:
            decoder(row)
        except RowError as error:
            raise CurateError(f"{place}: {error.reason}") from None


def _as_keys(row: Mapping[str, Any], columns: Sequence[str]) -> Row:
    """Take whole numbers as text, which the lake's keys are; anything else as it is."""
    return {
        column: str(int(value)) if not isinstance(value, bool) and isinstance(value, Integral) else value
        for column in columns
        if (value := row.get(column)) is not None or column in row
    }


def describe_value(value: object) -> str:
    """Say what a cell holds, for a sentence about it."""
    return "null" if value is None else f"{_shorten(repr(value))} ({type(value).__name__})"


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
