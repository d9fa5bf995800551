"""`curate backup` and `curate restore`: the whole lake as a folder, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.documents import Written
from curate.cli.opening import load_config
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.core.terminal import print_line

if TYPE_CHECKING:
    from curate.lake.backup import Backup

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be copied; write nothing.")]


def write_backup(
    folder: Annotated[Path, typer.Argument(help="New folder, or an earlier backup, which is replaced.")],
    dry_run: DryRun = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Written:
    """Copy catalog and data files, as they are at one moment, and compare the copies with what was written."""
    from curate.lake.backup import back_up_lake

    backup = back_up_lake(load_config(config).location, folder, dry_run=dry_run)
    verb = "would copy" if dry_run else "copied"
    print_line(
        f"{verb} {len(backup.files)} files ({backup.bytes / 1e6:.1f} MB) of snapshot {backup.snapshot} to {folder}"
    )
    return _describe_backup(backup, folder, dry_run)


def restore_backup(
    folder: Annotated[Path, typer.Argument(help="A folder that `curate backup` wrote.")],
    dry_run: DryRun = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Written:
    """Make the lake of curate.yaml from a backup; a lake that is there already is never overwritten."""
    from curate.lake.backup import restore_lake

    location = load_config(config).location
    backup = restore_lake(folder, location, dry_run=dry_run)
    verb = "would restore" if dry_run else "restored"
    print_line(
        f"{verb} snapshot {backup.snapshot} of {backup.made_at}, {len(backup.files)} files "
        f"({backup.bytes / 1e6:.1f} MB)"
    )
    return _describe_backup(backup, Path(location.data), dry_run)


def _describe_backup(backup: Backup, folder: Path, dry_run: bool) -> Written:
    return Written(
        str(folder), sorted(backup.files), bytes=backup.bytes, snapshot=backup.snapshot, dry_run=dry_run
    )
