"""The kinds of judges, by the names that `kind:` in curate.yaml takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from curate.core.registry import Registry
from curate.judge.base import Judge

JUDGES: Registry[Judge] = Registry("judge", Judge)  # type: ignore[type-abstract]


def judge_kind(name: str) -> Callable[[type[Judge]], type[Judge]]:
    """Return a class decorator that makes a judge known as `kind: name`."""
    return JUDGES.register(name)


def judge_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of the options of each kind of judge."""
    schemas = {}
    for kind, judge in JUDGES.registered.items():
        schema = judge.Options.model_json_schema()
        schema["properties"]["kind"] = {"const": kind}
        schemas[kind] = schema
    return schemas
