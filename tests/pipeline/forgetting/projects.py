"""Small projects whose sources are forgotten, and what their lakes hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from curate.config.project import Config, load_config
from curate.ingest import ingest_sources
from curate.lake.lake import Lake

TABLES = ("prompts", "responses", "judgments", "quarantine", "sources", "repeats")


def pair(number: int, **changes: Any) -> dict[str, Any]:
    """A row with two answers and a verdict."""
    return {
        "prompt": f"What is the secret number {number} of the universe?",
        "chosen": f"It is certainly the number {number}, as everybody knows.",
        "rejected": f"Nobody can say, but {number} is not it.",
    } | changes


def write_rows(path: Path, rows: list[Any]) -> None:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))


def write_project(home: Path, *sources: dict[str, Any], **sections: Any) -> Config:
    home.mkdir(exist_ok=True)
    (home / "curate.yaml").write_text(yaml.safe_dump({"ingest": list(sources), **sections}))
    return load_config(home / "curate.yaml")


def trl(file: str, **options: Any) -> dict[str, Any]:
    return {"source": file, "format": "trl-preference", "annotator": file, **options}


def ingest(config: Config) -> Lake:
    lake = Lake.open(config.location)
    ingest_sources(lake, config)
    return lake


def read_tables(lake: Lake, tables: tuple[str, ...] = TABLES) -> dict[str, list[Any]]:
    """The rows of tables, but for what differs between runs."""
    return {
        table: lake.rows(f"SELECT * EXCLUDE (run_id) FROM {table} ORDER BY ALL")
        if table not in ("prompts", "responses")
        else lake.rows(f"SELECT * FROM {table} ORDER BY ALL")
        for table in tables
    }


def list_holders(home: Path, text: str) -> list[str]:
    """The files under a folder in which a text can be read: as bytes, or as text of a Parquet file."""
    import pyarrow.parquet as pq

    holders = []
    for file in sorted(path for path in home.rglob("*") if path.is_file()):
        content = file.read_bytes()
        if file.suffix == ".parquet":
            content += str(pq.read_table(file).to_pylist()).encode()
        if text.encode() in content:
            holders.append(file.name)
    return holders
