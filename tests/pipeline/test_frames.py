"""Frames of any kind give the same native rows, and what cannot be read is one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import datasets
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from curate.core.errors import CurateError
from curate.pipeline.frames import derive_responses, read_responses, read_votes
from tests.pipeline.notebook_rows import make_responses, make_votes

KINDS: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "polars": pl.DataFrame,
    "lazy": lambda rows: pl.DataFrame(rows).lazy(),
    "pandas": lambda rows: pd.DataFrame(rows, index=range(100, 100 + len(rows))),
    "arrow": pa.Table.from_pylist,
    "datasets": datasets.Dataset.from_list,
    "generator": lambda rows: (row for row in rows),
}
VOTE = {"prompt": "q", "a": "x", "b": "y", "annotator": "ann", "winner": "a"}
PROMPT = {"id": "q", "prompt": "Why?", "responses": [{"id": "x", "text": "So."}, {"id": "y", "text": "No."}]}


@pytest.mark.parametrize("kind", KINDS)
def test_votes_are_the_same_from_every_kind_of_frame(kind: str) -> None:
    rows = make_votes()
    assert read_votes(KINDS[kind](rows), kind="imported") == rows


@pytest.mark.parametrize("kind", KINDS)
def test_responses_are_the_same_from_every_kind_of_frame(kind: str) -> None:
    rows = make_responses()
    assert read_responses(KINDS[kind](rows)) == rows


@pytest.mark.parametrize("kind", KINDS)
def test_one_row_for_each_response_is_the_same_as_one_for_each_prompt(kind: str) -> None:
    rows = make_responses()
    long = [
        {key: row[key] for key in ("id", "prompt", "reference")}
        | {"response": response["text"], "response_id": response["id"], "model": response["model"]}
        for row in rows
        for response in row["responses"]
    ]
    assert read_responses(KINDS[kind](long)) == [row | {"meta": None} for row in rows]


def test_a_selected_and_shuffled_data_set_is_read_as_it_is_now() -> None:
    rows = make_votes()
    chosen = datasets.Dataset.from_list(rows).select([5, 2])
    assert read_votes(chosen, kind="imported") == [rows[5], rows[2]]


def test_without_an_id_the_text_is_the_key_and_the_model_names_the_response() -> None:
    rows = [
        {"prompt": "Why?", "response": text, "model": model} for text, model in (("So.", "m1"), ("No.", "m2"))
    ]
    (row,) = read_responses(pd.DataFrame(rows))
    assert row["id"] == row["prompt"] == "Why?"
    assert [(item["id"], item["text"], item["model"]) for item in row["responses"]] == [
        ("m1", "So.", "m1"),
        ("m2", "No.", "m2"),
    ]


@pytest.mark.parametrize("frame", [pl.DataFrame, pd.DataFrame])
def test_whole_numbers_are_keys(frame: Callable[[list[dict[str, Any]]], Any]) -> None:
    votes = read_votes(frame([{"prompt": 7, "a": 1, "b": 2, "annotator": 3, "winner": "tie"}]), kind="human")
    assert votes == [{"prompt": "7", "a": "1", "b": "2", "annotator": "3", "winner": "tie", "kind": "human"}]
    assert [response["id"] for response in derive_responses(votes)[0]["responses"]] == ["1", "2"]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "votes has no rows"),
        ([VOTE | {"winner": "left"}], r"votes\[0\]: `winner` is 'left', but must be 'a', 'b', 'tie'"),
        ([VOTE, VOTE | {"annotator": None}], r"votes\[1\]: `annotator` is null"),
        ([VOTE, VOTE | {"a": ""}], r"votes\[1\]: `a` is empty"),
        ([VOTE | {"a": "y"}], "`a` and `b` are the same response"),
        ([VOTE | {"prompt": 1.5}], "`prompt` is a number, but should be a string"),
        ([VOTE | {"prompt": True}], "`prompt` is true or false, but should be a string"),
        ([VOTE | {"p_a": float("nan")}], "`p_a` is nan"),
        ([VOTE | {"p_a": 0.2}], "says the opposite"),
        ([VOTE | {"shown": "left"}], "`shown` is 'left'"),
        ([VOTE | {"kind": None}], "`kind` is None, but must be"),
        ([VOTE | {"winer": "a"}], "unknown column `winer`"),
        ([VOTE | {"worker": "w"}], "unknown column `worker`: known are prompt"),
        (
            [{"prompt": "q", "a": "x", "b": "y", "annotator": "w"}],
            "no column `winner` .columns: prompt, a, b",
        ),
        ([VOTE, ("q", "x")], r"votes\[1\] is a tuple"),
        ("votes.csv", "votes is a str: give a polars"),
        ({"train": [VOTE], "test": [VOTE]}, "of several splits, name one: train, test"),
        (pa.table([["q"], ["q"]], names=["prompt", "prompt"]), "two columns are called `prompt`"),
        (pd.DataFrame([VOTE, VOTE | {"prompt": 3}]), "votes: a column cannot be read"),
    ],
)
def test_votes_that_cannot_be_read_are_one_sentence(rows: Any, sentence: str) -> None:
    with pytest.raises(CurateError, match=sentence):
        read_votes(rows, kind="imported")


LONG = {"prompt": "Why?", "response": "So.", "model": "m1"}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"id": "q", "prompt": "Why?"}], "neither a column `responses`"),
        ([{"prompt": "Why?", "responses": []}], "no column `id`"),
        ([PROMPT | {"responses": []}], r"responses\[0\]: `responses` is empty"),
        ([PROMPT | {"responses": [{"id": "x"}]}], "`text` or `messages`"),
        ([PROMPT | {"responses": [{"text": "So."}]}], r"`responses\[0\].id` is missing"),
        ([PROMPT | {"responses": [{"id": "x", "text": None}]}], "`text` or `messages`"),
        ([PROMPT | {"id": None}], "`id` is null"),
        ([PROMPT | {"prompt": " "}], "`prompt` is empty"),
        ([PROMPT | {"score": 1}], "unknown column `score`"),
        ([PROMPT, PROMPT], r"responses\[1\]: the `id` 'q' is that of responses\[0\] too"),
        ([{"prompt": "Why?", "response": "So."}], "neither a column `response_id` nor `model`"),
        ([LONG | {"score": 1}], "unknown column `score`"),
        ([LONG, LONG], r"responses\[1\]: the prompt 'Why\?' has a response with `model` 'm1' already"),
        ([LONG, LONG | {"model": None}], r"responses\[1\]: `model` is null, but tells rows apart"),
        ([LONG, LONG | {"model": "m2", "response": None}], r"responses\[1\]: `response` is null"),
        ([LONG | {"prompt": None}], r"responses\[0\]: `prompt` is null"),
        (
            [LONG | {"id": 1}, LONG | {"id": 1, "model": "m2", "prompt": "How?"}],
            r"responses\[1\]: `prompt` differs from responses\[0\]",
        ),
    ],
)
def test_responses_that_cannot_be_read_are_one_sentence(rows: Any, sentence: str) -> None:
    with pytest.raises(CurateError, match=sentence):
        read_responses(rows)
