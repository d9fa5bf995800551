"""Data sets of the hub among the sources of a lake."""

from __future__ import annotations

import re
from collections.abc import Iterable

_HUB_SOURCE = re.compile(r"hf://(?P<name>[\w.-]+/[\w.-]+)(?:[/@#:].*)?")


def list_hub_datasets(sources: Iterable[str]) -> list[str]:
    """Return the names of the data sets that sources in the form `hf://owner/name…` stand for, each once.

    >>> list_hub_datasets(["hf://org/set/config@v1", "data/rows.jsonl", "hf://org/set"])
    ['org/set']
    """
    matches = (_HUB_SOURCE.fullmatch(source) for source in sources if source.startswith("hf://"))
    return sorted({match["name"] for match in matches if match})
