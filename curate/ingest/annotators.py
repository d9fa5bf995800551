"""Names of annotators whom nothing names: the file's name, or more of its path where two files share a name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePath

from curate.core.identity import content_id
from curate.ingest.inputs import Input
from curate.lake.lake import Lake


def name_annotators(lake: Lake, inputs: Iterable[Input]) -> Mapping[str, str]:
    """Name whoever judged where neither a row nor the source says so: part → name.

    The first file of a name goes by it, and each other one by its path, so that two files are two annotators. An
    input that has come in before keeps the name that its judgments have.

    Args:
        lake: The lake.
        inputs: All inputs, in their order.
    """
    known: dict[str, str] = dict(lake.rows("SELECT part, source FROM sources")) if lake.has("sources") else {}
    inputs = list(inputs)
    labels = {item.part: _label_part(item) for item in inputs}
    in_use = {name for (name,) in lake.rows(
        "SELECT DISTINCT annotator_id FROM judgments WHERE list_contains($1, annotator_id)", [sorted(labels.values())]
    )}  # fmt: skip
    parts: dict[str, set[str]] = defaultdict(set)
    for part, name in known.items():
        parts[name].add(part)
    names = {}
    for item in inputs:
        shares = parts[item.name] - {item.part}
        parts[item.name].add(item.part)
        is_new = item.part not in known
        takes_label = labels[item.part] in in_use or (is_new and bool(shares))
        names[item.part] = labels[item.part] if item.source.name is None and takes_label else item.name
    return names


def _label_part(item: Input) -> str:
    """Return the path within the project; of a file elsewhere its name and a few digits of its path's hash."""
    if PurePath(item.part).is_absolute():
        return f"{item.name} ({content_id(item.part)[:6]})"
    return item.part
