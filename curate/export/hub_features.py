"""Tell the hub and `datasets` the columns of a Parquet file, so that JSON comes back as objects."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

_NAMES = {"double": "float64", "float": "float32"}


def add_features(schema: pa.Schema) -> pa.Schema:
    """Return the schema with the metadata that `datasets` writes into files of its own."""
    features = {field.name: _describe_type(field.type) for field in schema}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def list_features(schema: pa.Schema) -> list[dict[str, Any]]:
    """Return the columns as `dataset_info.features` of a card has them."""
    return [{"name": field.name, **_list_type(field.type)} for field in schema]


def _list_type(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind):
        inner = _list_type(kind.value_type)
        return {"list": inner.get("dtype") or inner.get("struct") or inner}
    if pa.types.is_struct(kind):
        return {"struct": [{"name": field.name, **_list_type(field.type)} for field in kind]}
    return {"dtype": "json" if isinstance(kind, pa.JsonType) else _NAMES.get(str(kind), str(kind))}


def _describe_type(kind: pa.DataType) -> dict[str, Any]:
    if isinstance(kind, pa.JsonType):
        return {"_type": "Json"}
    if pa.types.is_list(kind):
        return {"feature": _describe_type(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _describe_type(field.type) for field in kind}
    return {"dtype": _NAMES.get(str(kind), str(kind)), "_type": "Value"}
