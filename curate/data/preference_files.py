"""Files of preference data: which of a folder are read, what identifies them, and their rows."""

from __future__ import annotations

import gzip
import io
from collections.abc import Collection, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

import msgspec
import zstandard

from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.data.json_columns import list_rows

_MARK = b"\xef\xbb\xbf"  # which some editors write at the beginning of a file in UTF-8
_LINES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_PAIR = {"prompt", "chosen", "rejected", "prompt_id", "confidence", "strength", "weight"}
_COLUMNS = _PAIR | {"responses", "rankings", "system", "image", "images", "tools", "aspects", "reference"}


def list_data_files(source: Path) -> list[Path]:
    """The files that `read_pairs` reads: Parquet before JSONL, and `train…` before any other part."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise CurateError(
            f"There is no preference data at {source}: name an export folder, a JSONL or a Parquet file."
        )
    parquet = sorted(source.rglob("*.parquet"))
    files = parquet or sorted(file for end in _LINES for file in source.rglob(f"*{end}"))
    if not files:
        raise CurateError(f"The folder {source} holds no .parquet and no .jsonl file with preference pairs.")
    return [file for file in files if file.name.startswith("train")] or files


def digest_data(source: Path) -> str:
    """Identifies the rows of `source` by the bytes of its files, wherever they are."""
    digests = []
    for file in list_data_files(source):
        digest = blake2b(digest_size=16)
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        digests.append(digest.hexdigest())
    return content_id(sorted(digests))


def read_data_rows(file: Path, columns: Collection[str] | None = _COLUMNS) -> Iterator[Any]:
    """The rows of one file as they are decoded; `None` where a line is no JSON. `columns`: of Parquet; None: all."""
    if file.name.removesuffix(".gz").removesuffix(".zst").endswith((".csv", ".tsv")):
        raise CurateError(
            f"{file} is a table of text, in which preference data are not read: take it in with `curate ingest`, "
            "or convert it to JSON Lines or Parquet."
        )
    try:
        yield from _read_parquet(file, columns) if file.suffix == ".parquet" else _read_json_lines(file)
    except (
        OSError,
        ValueError,
        EOFError,
        zstandard.ZstdError,
    ) as error:  # pyarrow's and gzip's are among these
        raise CurateError(
            f"Cannot read {file} as preference data: {' '.join(str(error).split())}."
        ) from error


def _read_parquet(file: Path, wanted: Collection[str] | None) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        columns = [name for name in opened.schema_arrow.names if wanted is None or name in wanted]
        for batch in opened.iter_batches(4096, columns=columns):
            yield from list_rows(batch)


def _read_json_lines(file: Path) -> Iterator[Any]:
    decode = msgspec.json.Decoder().decode
    with _open_file(file) as stream:
        for number, line in enumerate(stream):
            if number == 0:
                line = line.removeprefix(_MARK)
            if line.strip():
                try:
                    yield decode(line)
                except msgspec.DecodeError:
                    yield None


def _open_file(file: Path) -> IO[bytes]:
    if file.suffix == ".gz":
        return io.BufferedReader(gzip.open(file, "rb"))
    if file.suffix == ".zst":
        return io.BufferedReader(zstandard.open(file, "rb"))
    return file.open("rb")
