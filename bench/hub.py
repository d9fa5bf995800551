"""How much of an export Xet stores again when rows change, by order of the rows and kind of change.

    python bench/hub.py --rows 20000

Files are written as exports are, and uploaded by the real `hf_xet` client to its own store in a folder. A share is the
bytes of chunks that the store did not have, of the bytes of the new file.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.core.identity import content_id
from curate.export.rows import TrlPreferenceRow
from curate.export.shards import RowGroup, write_part
from curate.records import arrow_schema

Row = dict[str, Any]
_RNG = random.Random(0)
_WORDS = ["".join(_RNG.choices("abcdefghijklmnopqrstuvwxyz", k=_RNG.randint(2, 9))) for _ in range(20_000)]


def make_row(number: int) -> Row:
    """Make a row of some 1.7 kB in the file."""

    def speak(role: str, low: int, high: int) -> list[dict[str, str]]:
        return [{"role": role, "content": " ".join(_RNG.choices(_WORDS, k=_RNG.randint(low, high)))}]

    return {
        "prompt": speak("user", 20, 200),
        "chosen": speak("assistant", 50, 400),
        "rejected": speak("assistant", 50, 400),
        "prompt_id": content_id("p", number),
        "chosen_id": content_id("c", number),
        "rejected_id": content_id("r", number),
        "confidence": _RNG.random(),
        "strength": _RNG.gauss(0, 1),
        "n_judgments": 6,
        "iteration": 0,
    }


def list_changes(base: list[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Yield what may happen to an export, and its rows after that."""
    share = len(base) // 100
    new = [make_row(len(base) + number) for number in range(share)]
    some = set(_RNG.sample(range(len(base)), share))
    swapped = {
        "chosen": "rejected",
        "rejected": "chosen",
        "chosen_id": "rejected_id",
        "rejected_id": "chosen_id",
    }
    yield "1 % more rows, at the end", base + new
    yield "1 % more rows, in the order of ids", sorted(base + new, key=lambda row: str(row["prompt_id"]))
    yield "the confidence of every row", [row | {"confidence": _RNG.random()} for row in base]
    flipped = [row | {name: row[other] for name, other in swapped.items()} for row in base]
    yield "1 % of the rows swapped", [flipped[n] if n in some else row for n, row in enumerate(base)]
    yield "1 % fewer rows", [row for number, row in enumerate(base) if number not in some]


def upload(rows: list[Row], folder: Path, store: Path) -> float:
    """Return the share of new bytes of a file of these rows."""
    import hf_xet

    schema = arrow_schema(TrlPreferenceRow)
    groups = (
        RowGroup(pa.Table.from_pylist(rows[start : start + 2048], schema=schema))
        for start in range(0, len(rows), 2048)
    )
    part = write_part(folder, "train", schema, groups, jsonl=False, advance=lambda _: None)
    session = hf_xet.XetSession()
    with session.new_upload_commit(endpoint=f"local://{store}") as commit:
        handles = [
            commit.start_upload_file(str(folder / file.path), sha256=hf_xet.COMPUTE_SHA256)
            for file in part.files
        ]
    metrics = [handle.result().dedup_metrics for handle in handles]
    return sum(item.new_bytes for item in metrics) / sum(item.total_bytes for item in metrics)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    arguments = parser.parse_args()
    base = sorted(
        (make_row(number) for number in range(arguments.rows)), key=lambda row: str(row["prompt_id"])
    )
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        first = home / "store"
        first.mkdir()
        upload(base, home / "base", first)
        for change, rows in list_changes(base):
            store = home / "copy"
            shutil.copytree(first, store)
            print(f"{change}: {upload(rows, home / 'changed', store):.1%}", flush=True)
            shutil.rmtree(store)


if __name__ == "__main__":
    main()
