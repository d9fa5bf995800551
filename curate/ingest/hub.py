"""Data sets of the `datasets` library: folders written by `save_to_disk`, and hub data sets, streamed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.ingest.chunks import ReadRow
from curate.ingest.tables import ColumnCheck, list_column_names, number_rows, read_table_rows

_ADDRESS = re.compile(r"hf://(?P<name>[^/@\s]+/[^/@\s]+)(?:/(?P<config>[^@\s]+))?(?:@(?P<revision>\S+))?")
_BATCH = 1024


@dataclass(frozen=True, slots=True)
class DatasetSplit:
    """One split of a data set."""

    name: str
    split: str | None
    revision: str | None
    rows: Callable[[ColumnCheck], Iterator[tuple[int, ReadRow]]] = field(repr=False)
    total: int | None = None
    columns: Callable[[], frozenset[str] | None] = field(default=lambda: None, repr=False)


def list_folder_splits(path: Path, split: str | None) -> list[DatasetSplit]:
    """List the splits of a folder's data set: the named split, or all of them."""
    require_extra("hub", "datasets", purpose=f"Reading the `datasets` folder {path}")
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
    except Exception as error:  # whatever a damaged folder makes of it
        raise CurateError(f"{path} is not readable by `datasets`: {_one_line(error)}.") from error
    if isinstance(loaded, datasets.Dataset):
        return [_build_split(path.name, None, loaded)]
    if split is not None and split not in loaded:
        raise CurateError(f"{path} has no split {split!r}, only {', '.join(loaded)}.")
    return [_build_split(path.name, name, loaded[name]) for name in loaded if split in (None, name)]


def list_splits(address: str, split: str | None) -> list[DatasetSplit]:
    """List the splits of a hub data set, whose rows are streamed; asks the hub for its revision and its splits."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise CurateError(f"{address} is no hub address: write hf://owner/name[/config][@revision].")
    require_extra("hub", "datasets", purpose=f"Reading {address}")
    name, config, revision = match["name"], match["config"], match["revision"]
    try:
        resolved = _resolve_revision(name, revision)
        splits = [split] if split is not None else _list_split_names(name, config, resolved)
    except Exception as error:
        raise explain_unreachable(address, error) from error
    return [
        DatasetSplit(
            name,
            split_name,
            resolved,
            lambda check, split_name=split_name: stream_rows(name, config, resolved, split_name, check),  # type: ignore[misc]
            columns=lambda split_name=split_name: read_stream_columns(name, config, resolved, split_name),  # type: ignore[misc]
        )
        for split_name in splits
    ]


def stream_rows(
    name: str, config: str | None, revision: str | None, split: str, check: ColumnCheck
) -> Iterator[tuple[int, ReadRow]]:
    """Stream the rows of a data set of the hub, numbered from 1."""
    import datasets

    try:
        rows = datasets.load_dataset(name, config, revision=revision, split=split, streaming=True)
        if rows.column_names is not None:
            check(rows.column_names)
        if rows.features is not None:  # else nothing is decoded
            rows = rows.decode(False)  # `datasets` would open whatever address a row gives for an image
        yield from number_rows(iter(rows))
    except CurateError:
        raise
    except Exception as error:
        raise explain_unreachable(f"hf://{name}", error) from error


def read_stream_columns(
    name: str, config: str | None, revision: str | None, split: str
) -> frozenset[str] | None:
    """Read the names of a hub data set's columns, or None where they are not known."""
    import datasets

    try:
        features = datasets.load_dataset(
            name, config, revision=revision, split=split, streaming=True
        ).features
        return None if features is None else list_column_names(features.arrow_schema)
    except Exception:  # whatever is wrong with the set, `stream` says it
        return None


def explain_unreachable(address: str, error: Exception) -> CurateError:
    """Say in a sentence that an address cannot be read, and why."""
    return CurateError(
        f"Cannot read {address}: {_one_line(error)}. Check the name, the network and HF_HUB_OFFLINE, "
        "or download the data set and name its files."
    )


def _resolve_revision(name: str, revision: str | None) -> str | None:
    """Return the commit that a revision stands for now, so that a changed data set is not taken for the old one."""
    from huggingface_hub import HfApi

    sha: str | None = HfApi().dataset_info(name, revision=revision, timeout=30).sha
    return sha


def _list_split_names(name: str, config: str | None, revision: str | None) -> list[str]:
    import datasets

    names: list[str] = datasets.get_dataset_split_names(name, config, revision=revision)
    return names


def _build_split(name: str, split: str | None, dataset: Any) -> DatasetSplit:
    def rows(check: ColumnCheck) -> Iterator[tuple[int, ReadRow]]:
        return read_table_rows(dataset.with_format("arrow").iter(_BATCH), dataset.column_names, check)

    return DatasetSplit(
        name,
        split,
        None,
        rows,
        len(dataset),
        columns=lambda: list_column_names(dataset.features.arrow_schema),
    )


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(" .:")
