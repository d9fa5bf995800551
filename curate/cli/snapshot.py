"""`curate snapshot`: the history of the lake."""

from __future__ import annotations

from curate.cli.documents import Row
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.program_output import ProgramTyper

snapshot_app = ProgramTyper(help="Look at the history of the lake.", no_args_is_help=True)


@snapshot_app.command("list")
def list_snapshots(config: ConfigPath = DEFAULT_CONFIG) -> list[Row]:
    """List all snapshots with their time and the stage that wrote them."""
    from curate.core.resources import read_query
    from curate.lake.query import run_query

    with open_lake(load_config(config), read_only=True) as lake:
        rows: list[Row] = run_query(lake, read_query("snapshots"), as_format="table").to_pylist()
    return rows
