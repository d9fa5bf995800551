"""The inputs that a source of `curate.yaml` or the command line names, each read as one stream."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from curate.config.ingest import Source
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.ingest import arrays, hub, lines, tables
from curate.ingest.chunks import ReadRow
from curate.ingest.eval_archive import read_eval_samples
from curate.ingest.join import Partner, join_rows
from curate.ingest.line_blocks import LineBlock
from curate.ingest.parquet_rows import read_parquet_rows
from curate.ingest.rejection import Rejection
from curate.ingest.schema import list_text_columns, make_column_check
from curate.ingest.shapes import Shape, identify_shape, locate_shape, open_shape
from curate.ingest.tables import ColumnCheck

SUPPORTED = (
    "JSON Lines (.jsonl, .ndjson), JSON arrays (.json), CSV (.csv) and TSV (.tsv), each also with .gz or .zst; "
    "Parquet (.parquet); logs of Inspect (.eval); folders written by `datasets`; hf://owner/name[/config][@revision]"
)
_PLAIN = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
_SUFFIXES = frozenset(
    {".parquet", ".eval", *(plain + end for plain in _PLAIN for end in ("", ".gz", ".zst"))}
)
_VERSION = 2  # of how rows are read and cut into chunks: work done by an older version is not taken for done


@dataclass(frozen=True, slots=True)
class Input:
    """One file or split.

    `part` names it in the run records, `name` in the `source` column; `identity` changes with its content.
    """

    source: Source
    part: str
    name: str
    split: str | None
    identity: dict[str, Any]
    read: Callable[[], Iterator[tuple[int, ReadRow]]] = field(repr=False)
    total: int | None = None
    columns: Callable[[], frozenset[str] | None] = field(default=lambda: None, repr=False)
    """Names of all columns, nested ones too, where they can be known without reading the rows."""
    blocks: Callable[[], Iterator[LineBlock | Rejection]] | None = field(default=None, repr=False)
    """The same rows as `read` gives, as many lines at once, where a file has lines of JSON."""

    @property
    def fingerprint(self) -> str:
        settings = {
            **self.source.model_dump(exclude={"source", "license", "origin"}),  # which change no row
            "format": identify_shape(self.source.format),
        }
        return content_id("ingest", _VERSION, self.identity, settings)


def locate_inputs(source: Source, config: Config) -> list[Input]:
    """Return the inputs of a source, in the order of their names. Nothing is read yet.

    Raises:
        CurateError: There is nothing to read, or nothing that can be read.
    """
    source = locate_shape(source, config.resolve("."))
    inputs = _locate_own_inputs(source, config)
    if source.format != "auto" and (shape := open_shape(source.format)).gathers:
        inputs = [
            replace(item, read=partial(_gather, shape, item), total=None, columns=lambda: None, blocks=None)
            for item in inputs
        ]
    return _join_partners(inputs, source, config) if source.join else inputs


def _locate_own_inputs(source: Source, config: Config) -> list[Input]:
    if source.source.startswith("hf://"):
        return [_hub_input(source, part) for part in hub.list_splits(source.source, source.split)]
    path = config.resolve(source.source)
    if path.is_dir():
        return _folder_inputs(source, path, config)
    if path.is_file():
        return [_file_input(source, path, config)]
    if path.exists():  # to open a FIFO waits for a writer, and a device may have no end
        raise CurateError(
            f"{source.source} is {_name_kind(path)}, not a file: write what it gives into a file, and name that."
        )
    matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207  (absolute pattern)
    if not matches:
        wildcard = any(character in source.source for character in "*?[")
        problem = f"No file matches {source.source}" if wildcard else f"There is no file {source.source}"
        raise CurateError(
            f"{problem} (looked at {path}): check the path under `ingest` or on the command line."
        )
    return [_file_input(source, match, config) for match in matches if match.is_file()]


def list_data_files(folder: Path) -> frozenset[str]:
    """List the kinds of data files in a folder, as patterns; nothing where `datasets` wrote it."""
    if any((folder / name).exists() for name in ("state.json", "dataset_dict.json")):
        return frozenset()
    suffixes = {"".join(_get_suffixes(path)) for path in folder.rglob("*") if path.is_file()}
    nested = any(path.is_dir() for path in folder.iterdir())
    return frozenset(f"{'**/' if nested else ''}*{suffix}" for suffix in suffixes & _SUFFIXES)


def _get_suffixes(path: Path) -> list[str]:
    return path.suffixes[-2:] if path.suffix in (".gz", ".zst") else path.suffixes[-1:]


def _join_partners(inputs: Sequence[Input], source: Source, config: Config) -> list[Input]:
    """Join the rows of other files to those of a source."""
    partners, identities = [], {}
    for join in source.join:
        path = config.resolve(join.source)
        if not path.is_file():
            raise CurateError(f"`join` names {join.source}, but there is no such file (looked at {path}).")
        other = _file_input(Source(source=join.source), path, config, check=lambda names: None)
        partners.append(Partner(join, other.read))
        identities[join.source] = other.identity
    return [
        replace(
            item,
            identity={**item.identity, "join": identities},
            read=partial(_read_joined, item, partners),
            columns=lambda: None,
            blocks=None,
        )
        for item in inputs
    ]


def _gather(shape: Shape, item: Input) -> Iterator[tuple[int, ReadRow]]:
    return shape.gather_rows(item.read())


def _read_joined(item: Input, partners: Sequence[Partner]) -> Iterator[tuple[int, ReadRow]]:
    return join_rows(item.read(), partners)


def _file_input(source: Source, path: Path, config: Config, check: ColumnCheck | None = None) -> Input:
    """Return the input of a file; `check`: of the columns of a table, default: those that its format needs."""
    status = path.stat()
    check = check or make_column_check(source, path)
    rows: Callable[[], Iterator[tuple[int, ReadRow]]]
    limit, total = source.max_line_mib << 20, None
    columns: Callable[[], frozenset[str] | None] = lambda: None  # noqa: E731
    blocks: Callable[[], Iterator[LineBlock | Rejection]] | None = None
    suffixes = _get_suffixes(path)
    match suffixes:
        case [".jsonl" | ".ndjson", *_]:
            rows = lambda: lines.read_json_lines(path, limit=limit)  # noqa: E731
            blocks = lambda: lines.read_json_blocks(path, limit=limit)  # noqa: E731
        case [".json", *_]:
            rows = lambda: arrays.read_json_rows(path, limit=limit)  # noqa: E731
        case [".csv" | ".tsv", *_]:
            keep = list_text_columns(source)
            dialect = tables.sniff_csv(path, encoding=source.encoding, delimiter=source.delimiter)
            rows = lambda: tables.read_csv_rows(  # noqa: E731
                path, check, keep_empty=keep, limit=limit, dialect=dialect
            )
            columns = lambda: tables.list_csv_columns(path, dialect)  # noqa: E731
        case [".parquet"]:
            rows = lambda: read_parquet_rows(path, check, limit=limit)  # noqa: E731
            total = tables.count_parquet_rows(path)
            columns = lambda: tables.list_parquet_columns(path)  # noqa: E731
        case [".eval"]:
            rows = lambda: read_eval_samples(path, limit=limit)  # noqa: E731
        case _:
            raise CurateError(f"{path} has a suffix that curate cannot read; supported are {SUPPORTED}.")
    return Input(
        source=source,
        part=_label_path(path, config),
        name=source.name or path.name,
        split=source.split,
        identity={"size": status.st_size, "mtime_ns": status.st_mtime_ns},
        read=rows,
        total=total,
        columns=columns,
        blocks=blocks,
    )


def _folder_inputs(source: Source, path: Path, config: Config) -> list[Input]:
    if not any((path / name).exists() for name in ("state.json", "dataset_dict.json")):
        raise CurateError(
            f"{path} is a folder, but not one written by `datasets` (save_to_disk): "
            f"name its files, for example {source.source.rstrip('/')}/*.jsonl."
        )
    files = sorted(file for file in path.rglob("*") if file.is_file())
    statuses = [(str(file.relative_to(path)), file.stat()) for file in files]
    identity = {name: [status.st_size, status.st_mtime_ns] for name, status in statuses}
    label = _label_path(path, config)
    return [
        Input(
            source=source,
            part=label if part.split is None else f"{label}#{part.split}",
            name=source.name or path.name,
            split=part.split or source.split,
            identity={"files": identity, "split": part.split},
            read=lambda part=part: part.rows(make_column_check(source, path)),  # type: ignore[misc]
            total=part.total,
            columns=part.columns,
        )
        for part in hub.list_folder_splits(path, source.split)
    ]


def _hub_input(source: Source, part: hub.DatasetSplit) -> Input:
    return Input(
        source=source,
        part=f"{source.source}#{part.split}",
        name=source.name or part.name,
        split=part.split,
        identity={"revision": part.revision, "split": part.split},
        read=lambda: part.rows(make_column_check(source, source.source)),
        total=part.total,
        columns=part.columns,
    )


def _name_kind(path: Path) -> str:
    checks = {"a FIFO": path.is_fifo, "a socket": path.is_socket, "a device": path.is_char_device}
    return next((name for name, check in checks.items() if check()), "a device")


def _label_path(path: Path, config: Config) -> str:
    """Return the path relative to the configuration where possible, so that a project folder can be moved."""
    home = config.resolve(".")
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else path.as_posix()
