"""JSON Schemas of settings, records, rows in and rows out: `python -m curate.pipeline.schemas` writes `schemas/`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curate.config.project import Config
from curate.core.resources import find_resource
from curate.data.native import JudgmentsRow, ResponsesRow
from curate.data.native_ratings import RankingsRow, RatingsRow
from curate.engine import build_engine_schemas
from curate.export.formats import list_row_types
from curate.filter import build_filter_schemas
from curate.judge import judge_schemas
from curate.pipeline.certificate import Certificate
from curate.records import TABLES

Schema = dict[str, Any]

_DEFINITION = "#/$defs/"
_OWN_KIND = r"^[^:]+:[A-Za-z_]\w*$"  # module:Class or ./file.py:Class


def build_schemas() -> dict[str, Schema]:
    """Build all JSON Schemas by file name."""
    judges, engines, filters = judge_schemas(), build_engine_schemas(), build_filter_schemas()
    schemas: dict[str, Schema] = {"curate.yaml.json": build_config_schema(judges, engines, filters)}
    for name, record in TABLES.items():
        schemas[f"tables/{name}.json"] = record.model_json_schema()
    for name, row in list_row_types().items():
        schemas[f"export/{name}.json"] = row.model_json_schema()
    schemas["certificate.json"] = Certificate.model_json_schema()
    for name, row in list_row_types(conversations=True).items():
        schemas[f"export/{name}-conversations.json"] = row.model_json_schema()
    schemas["input/responses.json"] = ResponsesRow.model_json_schema()
    schemas["input/judgments.json"] = JudgmentsRow.model_json_schema()
    schemas["input/ratings.json"] = RatingsRow.model_json_schema()
    schemas["input/rankings.json"] = RankingsRow.model_json_schema()
    schemas |= {f"judges/{kind}.json": schema for kind, schema in judges.items()}
    schemas |= {f"engines/{kind}.json": schema for kind, schema in engines.items()}
    schemas |= {f"filters/{kind}.json": schema for kind, schema in filters.items()}
    return {
        name: {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
        for name, schema in schemas.items()
    }


def build_config_schema(
    judges: Mapping[str, Schema], engines: Mapping[str, Schema], filters: Mapping[str, Schema]
) -> Schema:
    """Build the schema of curate.yaml, with the options of each judge, engine and filter by its kind.

    Args:
        judges: Schema of the options of each kind of judge.
        engines: Schema of the options of each kind of engine.
        filters: Schema of the options of each kind of filter.
    """
    schema = Config.model_json_schema()
    definitions: dict[str, Schema] = schema["$defs"]
    judge_list = definitions["JudgeSection"]["properties"]["judges"]
    judge_list["items"] = _choose_by_kind("judge", judges, definitions, required=["name", "kind"])
    schema["properties"]["engines"]["additionalProperties"] = _choose_by_kind(
        "engine", engines, definitions, required=["kind"]
    )
    schema["properties"]["filter"]["items"] = _choose_by_kind(
        "filter", filters, definitions, required=["kind"]
    )
    return schema


def _choose_by_kind(
    family: str, schemas: Mapping[str, Schema], definitions: dict[str, Schema], *, required: list[str]
) -> Schema:
    """Build a `oneOf` of the kinds of a family, whose schemas are added to `definitions`.

    Options of a user's own kind are not known here, so any are allowed beside `kind: module:Class`.
    """
    branches = []
    for kind, schema in sorted(schemas.items()):
        name = f"{family}-{kind}"
        moved = _prefix_references(schema, f"{name}-")
        for inner, definition in moved.pop("$defs", {}).items():
            definitions[f"{name}-{inner}"] = definition
        moved["required"] = [*required, *(key for key in moved.get("required", []) if key not in required)]
        definitions[name] = moved
        branches.append({"$ref": _DEFINITION + name})
    own_kind: dict[str, Any] = {
        "type": "string",
        "pattern": _OWN_KIND,
        "description": f"A kind of {family} of your own: module:Class or ./file.py:Class.",
    }
    own: dict[str, Any] = {"type": "object", "properties": {"kind": own_kind}, "required": required}
    branches.append(own)
    return {"oneOf": branches}


def _prefix_references(value: Any, prefix: str) -> Any:
    """Copy a schema with a prefix before the names of the definitions that it refers to."""
    if isinstance(value, list):
        return [_prefix_references(item, prefix) for item in value]
    if not isinstance(value, dict):
        return value
    copy = {key: _prefix_references(item, prefix) for key, item in value.items()}
    reference = copy.get("$ref")
    if isinstance(reference, str) and reference.startswith(_DEFINITION):
        copy["$ref"] = _DEFINITION + prefix + reference.removeprefix(_DEFINITION)
    mapping = copy.get("mapping")  # of a discriminator
    if "propertyName" in copy and isinstance(mapping, dict):
        copy["mapping"] = {
            key: _DEFINITION + prefix + target.removeprefix(_DEFINITION) for key, target in mapping.items()
        }
    return copy


def format_schema(schema: Schema) -> str:
    """Return the text of a schema's file."""
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def write_schemas() -> None:
    """Write all schemas into `schemas/`."""
    folder = Path(str(find_resource("schemas")))
    for name, schema in build_schemas().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(format_schema(schema), encoding="utf-8")


if __name__ == "__main__":
    write_schemas()
