"""Files that ship with the package: SQL texts, templates, schemas."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def find_resource(path: str) -> Traversable:
    """`sql/…`, `schemas/…`, `ui_config/…`: inside the installed package, or beside it in a source checkout."""
    installed = files("curate") / path
    return installed if installed.is_file() or installed.is_dir() else Path(__file__).parents[2] / path


@cache
def read_query(name: str) -> str:
    """The text of `sql/queries/<name>.sql`."""
    return find_resource(f"sql/queries/{name}.sql").read_text(encoding="utf-8")
