"""The texts of a benchmark's files, whatever their columns are called."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

import duckdb
import pyarrow as pa

from curate.core.errors import CurateError
from curate.core.json_text import list_texts

_READERS = {
    ".jsonl": "read_json",
    ".ndjson": "read_json",
    ".json": "read_json",
    ".csv": "read_csv",
    ".tsv": "read_csv",
    ".parquet": "read_parquet",
}


def read_texts(path: Path) -> Iterator[str]:
    """Yield every text in the rows of a file, also inside lists and objects, each once.

    Raises:
        CurateError: The file cannot be read.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise CurateError(f"{path} is no file of a benchmark that can be read: {', '.join(_READERS)}.")
    seen: set[str] = set()
    try:
        with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
            batches = connection.execute(f"FROM {reader}(?)", [str(path)]).to_arrow_reader(10_000)
            for batch in batches:
                for text in list_texts(pa.Table.from_batches([batch]).to_pylist()):
                    if text not in seen:
                        seen.add(text)
                        yield text
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise CurateError(f"{path} cannot be read as a benchmark: {reason}.") from error


def digest_file(path: Path) -> str:
    """Return a digest of a file's bytes."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, modified: int) -> str:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
