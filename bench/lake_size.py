"""Bytes of a judgment in the lake's files, with ids that are hashes as in life: `python bench/lake_size.py`."""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

import aggregate_speed
import numpy as np
from synthetic_panel import synthetic_panel

from curate.lake.lake import Lake, Location


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--judgments", type=int, default=200_000)
    votes = synthetic_panel(parser.parse_args().judgments).votes
    hashes = random.Random(0)

    def draw_names(size: int) -> np.ndarray:
        return np.array([f"{hashes.getrandbits(128):032x}" for _ in range(size)])

    names = draw_names(votes.n_responses), np.sort(draw_names(votes.n_prompts))
    rows = aggregate_speed._rows
    aggregate_speed._names = lambda votes: names
    aggregate_speed._rows = lambda columns, record: rows(
        columns | {"judgment_id": draw_names(len(votes))}, record
    )
    with tempfile.TemporaryDirectory() as folder, Lake.open(Location.under(Path(folder))) as lake:
        began = time.monotonic()
        aggregate_speed.judge(lake, votes, start=0)
        seconds = time.monotonic() - began
        files = sum(file.stat().st_size for file in Path(folder).rglob("*.parquet"))
        print(
            f"{len(votes):,} judgments: {files / len(votes):.0f} bytes each in Parquet, written in {seconds:.1f} s"
        )


if __name__ == "__main__":
    main()
