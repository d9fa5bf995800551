"""JSON as a type of Arrow: what it is stored as."""

from __future__ import annotations

import pyarrow as pa


def get_storage_type(kind: pa.DataType) -> pa.DataType:
    """Return a type with text in place of JSON, which pyarrow can build from Python's objects."""
    if isinstance(kind, pa.JsonType):
        return kind.storage_type
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, get_storage_type(field.type)) for field in kind])
    return pa.list_(get_storage_type(kind.value_type)) if pa.types.is_list(kind) else kind
