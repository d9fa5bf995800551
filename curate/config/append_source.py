"""Add a source to a `curate.yaml` that people edit: every other byte of the file stays what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from curate.core.atomic import atomic_file
from curate.core.errors import CurateError
from curate.core.yaml_file import parse_yaml


def append_source(path: Path, entry: str) -> None:
    """Append an item to the list `ingest` of a file.

    Args:
        path: The project's `curate.yaml`.
        entry: A YAML list of one item, as block text without indentation; it may begin with comments.

    Raises:
        CurateError: The list stands in the file in a way that cannot be added to; nothing is changed then.
    """
    path = path.resolve()  # a link stays one
    try:
        content = path.read_bytes().decode("utf-8")
        changed = insert_source(content, entry, str(path))
        mode = path.stat().st_mode
        with atomic_file(path) as file:
            file.write_bytes(changed.encode("utf-8"))
            file.chmod(mode & 0o7777)
    except (OSError, UnicodeDecodeError) as error:
        raise CurateError(f"Cannot change {path}: {error}.") from error


def insert_source(content: str, entry: str, where: str) -> str:
    """Return the text of a `curate.yaml` with one more item under `ingest`.

    Raises:
        CurateError: There is no place for it.
    """
    before = parse_yaml(content, where) or {}
    newline = "\r\n" if "\r\n" in content else "\n"
    changed = _insert(content, entry, newline)
    items = parse_yaml(entry, where)
    if changed is not None:
        try:
            after = parse_yaml(changed, where)
        except CurateError:
            after = None
        if isinstance(before, dict) and after == {
            **before,
            "ingest": [*(before.get("ingest") or []), *items],
        }:
            return changed
    raise CurateError(
        f"{where}: the list `ingest` stands there in a way that nothing can be added to; "
        f"add to it yourself:\n{entry}".rstrip()
    )


def _insert(content: str, entry: str, newline: str) -> str | None:
    node = yaml.compose(content, Loader=yaml.SafeLoader)
    if node is not None and not isinstance(node, yaml.MappingNode):
        return None
    pairs = [] if node is None else node.value
    place = next(((key, value) for key, value in pairs if key.value == "ingest"), None)
    if place is None:
        if node is not None and node.flow_style:
            return None
        gap = "" if not content else newline if content.endswith("\n") else newline * 2
        return content + gap + "ingest:" + newline + _indent(entry, 2, newline)
    key, value = place
    if isinstance(value, yaml.SequenceNode) and value.flow_style:
        end = value.end_mark.index - 1
        item = json.dumps(parse_yaml(entry, "the entry")[0], ensure_ascii=False)
        comma = ", " if value.value and not content[:end].rstrip().endswith(",") else ""
        return content[:end] + comma + item + content[end:]
    if isinstance(value, yaml.SequenceNode) and value.value:
        first = value.start_mark.column
        end = max(map(_find_end, value.value))
    elif isinstance(value, yaml.ScalarNode) and value.value == "":
        first, end = key.start_mark.column + 2, key.end_mark.index
    else:
        return None
    line_end = content.find("\n", end)
    if line_end < 0:
        return content + newline + _indent(entry, first, newline)
    return content[: line_end + 1] + _indent(entry, first, newline) + content[line_end + 1 :]


def _find_end(node: yaml.Node) -> int:
    """Return where the last character of a node stands; a block's own mark is at what follows it."""
    children: list[Any] = []
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        children = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode) and not node.flow_style:
        children = node.value
    elif isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        return int(node.end_mark.index) - 1  # its text reaches to the line before
    return max(map(_find_end, children)) if children else int(node.end_mark.index)


def _indent(entry: str, columns: int, newline: str) -> str:
    return "".join(f"{' ' * columns}{line}{newline}" for line in entry.splitlines())
