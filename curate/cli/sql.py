"""`curate sql`: queries over the lake."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from curate.cli.documents import Row
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath, SnapshotOption
from curate.cli.program_output import is_json_wanted


def query_lake(
    query: Annotated[
        str, typer.Argument(help="SQL over the lake's tables; - reads the SQL from standard input.")
    ],
    format: Annotated[
        Literal["table", "json", "csv", "parquet"],
        typer.Option("--format", "-f", help="Form of the result."),
    ] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File for the result, in place of the screen.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Allow statements that change the lake.")] = False,
    snapshot: SnapshotOption = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> list[Row]:
    """Run SQL over the lake; without --write it cannot change anything."""
    from curate.lake.query import run_query

    text = sys.stdin.read() if query == "-" else query
    with open_lake(load_config(config), read_only=not write, snapshot=snapshot) as lake:
        result = run_query(lake, text, as_format=format, output=output, force=force, write=write)
    return result.to_pylist() if is_json_wanted() else []
