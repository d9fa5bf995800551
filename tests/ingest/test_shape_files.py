"""Each shape that has an example reads it as the example says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from curate.config.ingest import Fields, Join, Source
from curate.config.mapping import MoreVerdicts
from curate.data.conversation import get_final_text
from curate.ingest.decoders import make_responses_decoder
from curate.ingest.rows import Row
from curate.ingest.shapes import FILE_SHAPES, SHAPES, open_shape
from curate.records import Message, text_parts
from tests.ingest.shape_table import PAGE, replace_table

FOLDER = Path(__file__).parents[2] / "curate" / "ingest" / "shapes"


def read_example(name: str) -> Row:
    example = open_shape(name).example or {}
    options: dict[str, Any] = {"source": "x", "format": name}
    if "fields" in example:
        options["fields"] = example["fields"]
    rows = make_responses_decoder(Source.model_validate(options), name="example")(dict(example["row"]))
    assert isinstance(rows, list)
    assert len(rows) == 1
    return rows[0]


def list_turns(prompt: str | tuple[Message, ...]) -> list[list[str]]:
    messages = (Message(role="user", content=text_parts(prompt)),) if isinstance(prompt, str) else prompt
    return [[message.role, "".join(part.text or "" for part in message.content)] for message in messages]


WITH_EXAMPLE = [name for name in SHAPES.names if open_shape(name).example]


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_a_shape_reads_its_example(name: str) -> None:
    example, row = dict(open_shape(name).example or {}), read_example(name)
    assert list_turns(row.prompt) == example["prompt"]
    answers = [
        answer if isinstance(answer, str) else get_final_text(answer)
        for answer in (response.answer for response in row.responses)
    ]
    assert answers == example["responses"]
    if "models" in example:
        assert [response.model for response in row.responses] == example["models"]
    for found, expected in ((row.verdicts, example["verdicts"]), (row.ratings, example.get("ratings", []))):
        assert len(found) == len(expected)
        for statement, wanted in zip(found, expected, strict=True):
            assert {key: getattr(statement, key) for key in wanted} == wanted


def test_every_shape_says_what_it_is() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(FILE_SHAPES)
    for name in FILE_SHAPES:
        text = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
        assert {"version", "description", "columns", "example"} <= set(text), name
        shape = open_shape(name)
        columns = shape.columns[0]
        row = (shape.example or {})["row"]
        assert columns <= set(row), f"{name}: the example lacks a column by which the shape is known"


def test_the_documentation_has_the_table_of_shapes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert replace_table(text) == text, "run `python -m tests.ingest.shape_table`"
    keys = {*Fields.model_fields, *MoreVerdicts.model_fields, *Join.model_fields} - {"source"}
    assert [key for key in sorted(keys) if f"`{key}`" not in text and f"`{key}:" not in text] == []
