"""schemas/ holds the schemas of the models; `make schemas` writes it again."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from curate.core.resources import find_resource
from curate.pipeline.schemas import build_schemas, format_schema

PROJECTS = {
    "template": Path(str(find_resource("cli/project_template/curate.yaml"))),
    "demo": Path(__file__).parents[2] / "examples" / "demo" / "curate.yaml",
}


def test_the_schemas_in_the_tree_are_current() -> None:
    for name, schema in build_schemas().items():
        assert find_resource(f"schemas/{name}").read_text(encoding="utf-8") == format_schema(schema), (
            f"{name}: run `make schemas`"
        )


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = build_schemas()["curate.yaml.json"]
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("project", PROJECTS)
def test_a_project_is_valid_and_a_misspelt_option_is_not(validator: Any, project: str) -> None:
    document = yaml.safe_load(PROJECTS[project].read_text(encoding="utf-8"))
    assert list(validator.iter_errors(document)) == []
    for number, judge in enumerate(document["judge"]["judges"]):
        if ":" in judge["kind"]:
            continue  # one of the user's own, whose options are not known here
        broken = copy.deepcopy(document)
        broken["judge"]["judges"][number]["max_pear"] = 3
        assert not validator.is_valid(broken)
    for name in document.get("engines") or {}:
        broken = copy.deepcopy(document)
        broken["engines"][name]["devise"] = "cpu"
        assert not validator.is_valid(broken)


@pytest.mark.parametrize(
    ("judge", "valid"),
    [
        ({"name": "j", "kind": "rule", "rule": "length"}, True),
        ({"name": "j", "kind": "rule", "rule": "length", "attempts": 0}, False),
        ({"kind": "rule", "rule": "length"}, False),
        ({"name": "j", "rule": "length"}, False),
        ({"name": "j", "kind": "ruler", "rule": "length"}, False),
        ({"name": "j", "kind": "./my_judge.py:MyJudge", "anything": 1}, True),
        ({"name": "j", "kind": "my_package.my_module:MyJudge"}, True),
    ],
)
def test_judges_are_checked_by_their_kind(validator: Any, judge: dict[str, Any], valid: bool) -> None:
    assert validator.is_valid({"judge": {"judges": [judge]}}) is valid


def test_engines_are_checked_by_their_kind(validator: Any) -> None:
    for engine, valid in (
        ({"kind": "./engine.py:Mine", "x": 1}, True),
        ({"kind": "vlm"}, False),
        ({"model": "m"}, False),
    ):
        assert validator.is_valid({"engines": {"e": engine}}) is valid, engine
