"""`curate compact` and `curate gc`: keep the lake small."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.documents import Compaction
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.core.terminal import print_line

if TYPE_CHECKING:
    from curate.lake.maintenance import GarbageCollection


def compact_files(config: ConfigPath = DEFAULT_CONFIG) -> Compaction:
    """Merge small files of the lake into larger ones."""
    from curate.lake.compaction import compact_lake

    with open_lake(load_config(config), create=False) as lake:
        before, after = compact_lake(lake)
        print_line(
            f"{before} data files, and small commits that lay in the catalog, became {after} data files; `curate gc` "
            "removes the old ones once their snapshots are forgotten"
        )
    return Compaction(before, after)


def clean_lake(
    keep_days: Annotated[float, typer.Option(min=0, help="Keep the snapshots of the last N days.")] = 30,
    orphans: Annotated[
        bool,
        typer.Option(
            "--orphans",
            help="Delete also files that killed runs left and the catalog does not list; see docs/lake.md.",
        ),
    ] = False,
    trash_days: Annotated[
        float, typer.Option(min=0, help="Keep deleted files in the data folder's trash for N days.")
    ] = 7,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only; delete nothing.")] = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> GarbageCollection:
    """Forget old snapshots and move the files that only they used to the trash; snapshots of exports are kept."""
    from curate.lake.data_folder import is_local
    from curate.lake.maintenance import collect_garbage

    with open_lake(load_config(config), create=False) as lake:
        removed = collect_garbage(
            lake,
            keep=timedelta(days=keep_days),
            orphans=orphans,
            grace=timedelta(days=trash_days),
            dry_run=dry_run,
        )
        has_trash = is_local(lake.location.data)
    forgot, deleted, moved = (
        ("would forget", "would delete", "would move") if dry_run else ("forgot", "deleted", "moved")
    )
    print_line(
        f"{forgot} {removed.snapshots} snapshots, "
        + (f"{moved} {removed.files} files to the trash" if has_trash else f"{deleted} {removed.files} files")
    )
    if removed.emptied or removed.trash:
        print_line(
            f"{deleted} {removed.emptied} files from the trash; {removed.trash} files "
            f"({removed.trash_bytes / 1e6:.1f} MB) are in it: `curate gc --trash-days 0` deletes them at once"
        )
    if removed.orphans:
        hint = "" if orphans else "; if killed runs left them, `curate gc --orphans` deletes them"
        print_line(
            f"{len(removed.orphans)} files in the data folder are not in the catalog and were left alone "
            f"(such as {removed.orphans[0]}){hint}"
        )
    return removed
