"""YAML of a bounded size: a few aliases can stand for billions of values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from curate.core.errors import CurateError

_MOST_VALUES = 200_000  # aliases written out
_MOST_CHARACTERS = 8 << 20
_MERGE = "tag:yaml.org,2002:merge"


def read_yaml(path: Path) -> Any:
    """Read a YAML file; see `parse_yaml`. No more than its limit is read, though the file be a device without end."""
    with path.open(encoding="utf-8") as file:
        return parse_yaml(file.read(_MOST_CHARACTERS + 1), str(path))


def parse_yaml(text: str, where: str) -> Any:
    """Parse a YAML document.

    Args:
        text: The document.
        where: Name of the file, for the error message.

    Raises:
        CurateError: It is no valid YAML, is nested too deeply, or its aliases stand for too many values.
    """
    if len(text) > _MOST_CHARACTERS:
        raise CurateError(
            f"{where} is larger than {_MOST_CHARACTERS >> 20} MiB: put data into files of their own."
        )
    try:
        loader = yaml.SafeLoader(text)
    except yaml.YAMLError as error:  # a character that YAML does not have
        raise CurateError(f"{where} is not valid YAML: {' '.join(str(error).split())}.") from error
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _count_values(node) > _MOST_VALUES:
            raise CurateError(
                f"{where} stands for more than {_MOST_VALUES:,} values once its aliases (*name) are written out: "
                "use fewer of them."
            )
        if (twice := _find_key_twice(node)) is not None:
            raise CurateError(
                f"{where} names `{twice.value}` twice in one place (the second time in line "
                f"{twice.start_mark.line + 1}), and only one of them could count: put both together."
            )
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        raise CurateError(f"{where} is not valid YAML: {' '.join(str(error).split())}.") from error
    except RecursionError:
        raise CurateError(
            f"{where} is nested too deeply, or an alias in it contains itself: write it flatter."
        ) from None
    finally:
        loader.dispose()


def _find_key_twice(root: yaml.Node) -> yaml.ScalarNode | None:
    """Find a key that its mapping has already; YAML itself takes the last one without a word."""
    nodes, seen = [root], {id(root)}
    for node in nodes:  # grows
        children: list[yaml.Node] = list(node.value) if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            keys = set[tuple[str, str]]()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                    if (key.tag, key.value) in keys:
                        return key
                    keys.add((key.tag, key.value))
                children.append(value)
        for child in children:
            if id(child) not in seen:
                seen.add(id(child))
                nodes.append(child)
    return None


def _count_values(node: yaml.Node) -> int:
    """Count the values of a document with every alias written out, in the time of the document itself."""
    counts: dict[int, int] = {}

    def count(node: yaml.Node) -> int:
        if id(node) not in counts:
            counts[id(node)] = _MOST_VALUES + 1  # while it is being counted: inside itself it has no end
            children: list[yaml.Node] = []
            if isinstance(node, yaml.MappingNode):
                children = [part for pair in node.value for part in pair]
            elif isinstance(node, yaml.SequenceNode):
                children = node.value
            counts[id(node)] = min(1 + sum(map(count, children)), _MOST_VALUES + 1)
        return counts[id(node)]

    return count(node)
