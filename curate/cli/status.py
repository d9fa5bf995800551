"""`curate status`: the contents of the lake at a glance."""

from __future__ import annotations

from typing import Annotated

import typer

from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.tables import print_status


def show_status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Show what is in the lake, check that every count adds up, and list the last runs."""
    from curate.lake.status import read_status

    with open_lake(load_config(config), read_only=True) as lake:
        print_status(read_status(lake), as_json=as_json)
