"""schemas/ is what the models say; `make schemas` writes it anew."""

from __future__ import annotations

from curate.core.resources import find_resource
from curate.pipeline.schemas import build_schemas, format_schema


def test_the_schemas_in_the_tree_are_current() -> None:
    for name, schema in build_schemas().items():
        assert find_resource(f"schemas/{name}").read_text(encoding="utf-8") == format_schema(schema), (
            f"{name}: run `make schemas`"
        )
