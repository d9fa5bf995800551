"""`curate status`: the contents of the lake at a glance."""

from __future__ import annotations

from curate.cli.documents import StatusDocument
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.tables import print_status


def show_status(
    config: ConfigPath = DEFAULT_CONFIG,
) -> StatusDocument:
    """Show what is in the lake, check that every count adds up, and list the last runs."""
    from curate.lake.status import read_status

    with open_lake(load_config(config), read_only=True) as lake:
        return print_status(read_status(lake))
