"""The YAML at the head of a card, by which the hub finds a data set and `datasets` loads it.

Keys and words: https://github.com/huggingface/hub-docs/blob/main/datasetcard.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import yaml

from curate.config.export import ExportEntry
from curate.export.hub_features import list_features
from curate.export.provenance import Provenance
from curate.export.shards import WrittenPart
from curate.hub.licenses import build_license_fields

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
)
_TASKS = {"ranking": ["text-ranking"], "parquet": ["text-ranking", "text-generation"]}


def build_front_matter(
    title: str,
    format_name: str,
    entry: ExportEntry,
    parts: Sequence[WrittenPart],
    schemas: Mapping[str, pa.Schema],
    provenance: Provenance,
    *,
    is_split: bool,
) -> str:
    """Return the YAML, without its marks.

    Args:
        title: Title of the card.
        format_name: Name of the export's format.
        entry: Settings of the export.
        parts: The written tables.
        schemas: The columns of each part.
        provenance: Where the data come from.
        is_split: The parts are splits of one configuration; else each is a configuration.
    """
    document: dict[str, Any] = {
        "pretty_name": title,
        **build_license_fields(entry.license),
        "annotations_creators": _list_annotation_creators(provenance),
        "language_creators": ["found", *["machine-generated"] * provenance.has_models],
        "source_datasets": [f"extended|{name}" for name in provenance.hub_datasets] or ["original"],
        "task_categories": _TASKS.get(format_name, ["text-generation"]),
        "tags": ["preference", "rlhf", "curate"],
        "size_categories": [_name_size(sum(part.rows for part in parts))],
        "configs": _list_configs(parts, is_split),
        "dataset_info": _describe_configs(parts, schemas, is_split),
    }
    if entry.language:
        document["language"] = list(entry.language)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _list_annotation_creators(provenance: Provenance) -> list[str]:
    """Name who made the annotations in the hub's words; whether people are experts or a crowd, nobody has said."""
    words = {"human": "other", "imported": "found"}
    return sorted({words.get(kind, "machine-generated") for kind in provenance.kinds}) or ["no-annotation"]


def _name_size(rows: int) -> str:
    return next((name for limit, name in _SIZES if rows < limit), "n>1B")


def _list_configs(parts: Sequence[WrittenPart], is_split: bool) -> list[dict[str, Any]]:
    paths = {part.name: f"data/{part.name}-*.parquet" for part in parts}
    if is_split:  # each part is a split of one configuration
        files = [{"split": name, "path": path} for name, path in paths.items()]
        return [{"config_name": "default", "data_files": files}]
    return [
        {"config_name": name, "data_files": [{"split": "train", "path": path}]}
        for name, path in paths.items()
    ]


def _describe_configs(
    parts: Sequence[WrittenPart], schemas: Mapping[str, pa.Schema], is_split: bool
) -> list[dict[str, Any]]:
    groups = [("default", parts)] if is_split else [(part.name, [part]) for part in parts]
    return [
        {
            "config_name": name,
            "features": list_features(schemas[members[0].name]),
            "splits": [
                {"name": part.name if is_split else "train", "num_examples": part.rows} for part in members
            ],
            "download_size": sum(
                file.bytes for part in members for file in part.files if file.path.endswith(".parquet")
            ),
        }
        for name, members in groups
    ]
