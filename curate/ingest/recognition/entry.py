"""A source as an entry of `ingest` in `curate.yaml`: text that people edit."""

from __future__ import annotations

from typing import Any

import yaml

from curate.config.ingest import Source
from curate.core.terminal import escape_controls


def list_entry(source: Source) -> dict[str, Any]:
    """Return the keys of a source that were set, in the order in which they are read."""
    keys = source.model_dump(mode="json", exclude_unset=True)
    if isinstance(keys.get("fields"), dict):
        keys["fields"] = {key: value for key, value in keys["fields"].items() if value not in (None, [], {})}
    if keys.get("fields") is None:
        keys.pop("fields", None)
    elif keys.get("format") == "native":
        keys.pop("format")  # fields alone say it
    order = ("source", "kind", "format", "annotator_kind", "annotator", "split", "name")
    return {
        key: keys[key]
        for key in (*(key for key in order if key in keys), *(key for key in keys if key not in order))
    }


def write_entry(source: Source, *, indent: int = 2, comment: str | None = None) -> str:
    """Write a source as an item of a YAML list, each line indented.

    Args:
        source: The source.
        indent: Columns before the dash.
        comment: What is said of it in a line above.
    """
    lines = []
    for key, value in list_entry(source).items():
        if isinstance(value, dict):
            lines += [f"{key}:", *(f"  {name}: {_write_value(item)}" for name, item in value.items())]
        else:
            lines.append(f"{key}: {_write_value(value)}")
    note = [f"# {' '.join(escape_controls(comment).split())}"] if comment else []
    lines = [*note, *((f"- {line}" if number == 0 else f"  {line}") for number, line in enumerate(lines))]
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def _write_value(value: object) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=1_000_000, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...")
