"""`curate backup` and `curate restore`: the whole lake as a folder, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.opening import load_config
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.core.terminal import print_line

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be copied; write nothing.")]


def write_backup(
    folder: Annotated[Path, typer.Argument(help="New folder, or an earlier backup, which is replaced.")],
    dry_run: DryRun = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Copy catalog and data files, as they are at one moment, and compare the copies with what was written."""
    from curate.lake.backup import back_up_lake

    backup = back_up_lake(load_config(config).location, folder, dry_run=dry_run)
    verb = "would copy" if dry_run else "copied"
    print_line(
        f"{verb} {len(backup.files)} files ({backup.bytes / 1e6:.1f} MB) of snapshot {backup.snapshot} to {folder}"
    )


def restore_backup(
    folder: Annotated[Path, typer.Argument(help="A folder that `curate backup` wrote.")],
    dry_run: DryRun = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Make the lake of curate.yaml from a backup; a lake that is there already is never overwritten."""
    from curate.lake.backup import restore_lake

    location = load_config(config).location
    backup = restore_lake(folder, location, dry_run=dry_run)
    verb = "would restore" if dry_run else "restored"
    print_line(
        f"{verb} snapshot {backup.snapshot} of {backup.made_at}, {len(backup.files)} files "
        f"({backup.bytes / 1e6:.1f} MB)"
    )
