"""JSON Schemas of settings, records, rows in and rows out: `python -m curate.pipeline.schemas` writes `schemas/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curate.config.project import Config
from curate.core.resources import find_resource
from curate.data.native import JudgmentsRow, ResponsesRow
from curate.engine import build_engine_schemas
from curate.export.formats import list_row_types
from curate.judge import judge_schemas
from curate.records import TABLES


def build_schemas() -> dict[str, dict[str, Any]]:
    """Build all JSON Schemas by file name."""
    schemas: dict[str, dict[str, Any]] = {"curate.yaml.json": Config.model_json_schema()}
    for name, record in TABLES.items():
        schemas[f"tables/{name}.json"] = record.model_json_schema()
    for name, row in list_row_types().items():
        schemas[f"export/{name}.json"] = row.model_json_schema()
    for name, row in list_row_types(with_images=True).items():
        schemas[f"export/{name}-images.json"] = row.model_json_schema()
    schemas["input/responses.json"] = ResponsesRow.model_json_schema()
    schemas["input/judgments.json"] = JudgmentsRow.model_json_schema()
    schemas |= {f"judges/{kind}.json": schema for kind, schema in judge_schemas().items()}
    schemas |= {f"engines/{kind}.json": schema for kind, schema in build_engine_schemas().items()}
    return {
        name: {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
        for name, schema in schemas.items()
    }


def format_schema(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def write_schemas() -> None:
    folder = Path(str(find_resource("schemas")))
    for name, schema in build_schemas().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(format_schema(schema), encoding="utf-8")


if __name__ == "__main__":
    write_schemas()
