"""`curate push`: exports and models to the Hugging Face Hub."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.documents import Pushed
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.core.errors import CurateError
from curate.core.terminal import new_console, new_table

if TYPE_CHECKING:
    from curate.config.hub import PushTarget
    from curate.config.project import Config
    from curate.hub import PushResult

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="List the files, their bytes and what would change; send nothing.")
]
Public = Annotated[
    bool, typer.Option("--public", help="The repository is public, or is made so; default: private.")
]
Replace = Annotated[
    bool,
    typer.Option(
        "--replace", help="Overwrite files there that others wrote or changed. None is ever removed."
    ),
]


def push_folders(
    folder: Annotated[
        Path | None,
        typer.Argument(help="An export or a trained model; default: every folder that `hub.push` names."),
    ] = None,
    repository: Annotated[
        str | None, typer.Argument(help="owner/name on the hub; default: what `hub.push` says.")
    ] = None,
    public: Public = False,
    replace: Replace = False,
    dry_run: DryRun = False,
    license: Annotated[str | None, typer.Option(help="SPDX licence name for the card of a model.")] = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> list[Pushed]:
    """Push exports and models to the hub: one commit and one tag for each state, and only what has changed."""
    settings = load_config(config)
    pushed = []
    for path, target in _list_targets(settings, folder, repository):
        if license is not None:
            target = target.model_copy(update={"license": license})
        result = push_one(settings, path, target, public=public, replace=replace, dry_run=dry_run)
        pushed.append(result)
    return pushed


def push_one(
    settings: Config, folder: Path, target: PushTarget, *, public: bool, replace: bool, dry_run: bool
) -> Pushed:
    """Push one folder, and print what went up."""
    from curate.pipeline.push import push_folder
    from curate.reward.model_folder import is_trained_model

    push = partial(
        push_folder,
        settings,
        folder,
        target,
        private=False if public else None,
        replace=replace,
        dry_run=dry_run,
    )
    if is_trained_model(folder):  # its card has the evaluations of the lake
        with open_lake(settings, read_only=True) as lake:
            result = push(lake=lake)
    else:
        result = push()
    print_push(result)
    plan = result.plan
    return Pushed(
        repository=plan.repository,
        url=result.url,
        revision=result.revision,
        tag=result.tag,
        uploads=[file.path for file in plan.uploads],
        unchanged=[file.path for file in plan.unchanged],
        removed=list(plan.removed),
        bytes=plan.upload_bytes,
    )


def print_push(result: PushResult) -> None:
    """Print the files of a push with their bytes, then one sentence."""
    plan, console = result.plan, new_console()
    if result.revision is None:
        table = new_table("file", "bytes>", "")
        for file in plan.uploads:
            table.add_row(file.path, f"{file.bytes:,}", "upload")
        for file in plan.unchanged:
            table.add_row(file.path, f"{file.bytes:,}", "there already")
        for path in plan.removed:
            table.add_row(path, "·", "remove (of an earlier push)")
        console.print(table)
    files = f"{len(plan.uploads):,} of {len(plan.uploads) + len(plan.unchanged):,} files, {plan.upload_bytes:,} bytes"
    removed = f", {len(plan.removed):,} of an earlier push removed" if plan.removed else ""
    if result.revision is None:
        where = "a new repository" if plan.head is None else f"commit {plan.head[:8]}"
        where = where if result.is_compared else "new or not"
        text = f"dry run: {plan.repository} ({where}) would get {files}{removed}"
        if not result.is_compared:
            text += (
                "; the hub was not asked what it has already, since there is no token: set HF_TOKEN, or run "
                "`hf auth login`"
            )
    elif plan.uploads or plan.removed:
        text = f"pushed to {result.url}: {files}{removed}; commit {result.revision[:8]}"
    else:
        text = f"{result.url} has this state already: nothing to upload; commit {result.revision[:8]}"
    if result.tag:
        text += f", tag {result.tag}"
    console.print(text, soft_wrap=True)


def _list_targets(
    settings: Config, folder: Path | None, repository: str | None
) -> list[tuple[Path, PushTarget]]:
    from curate.config.hub import PushTarget

    named = {settings.resolve(name): settings.hub.find_target(name) for name in settings.hub.push}
    if folder is None:
        if not named:
            raise CurateError(
                "There is nothing to push: name a folder and a repository (`curate push FOLDER owner/name`), or list "
                "them under `hub.push` in curate.yaml."
            )
        return [(path, target) for path, target in named.items() if target is not None]
    path = folder.resolve()
    target = named.get(path)
    if repository is not None:
        target = target.model_copy(update={"repository": repository}) if target else None
        target = target or PushTarget(repository=repository)
    if target is None:
        raise CurateError(
            f"Nobody has said where {folder} goes: name the repository (`curate push {folder} owner/name`), or write "
            "it under `hub.push` in curate.yaml."
        )
    return [(path, target)]
