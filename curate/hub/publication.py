"""A publication: the files that make up one state of a repository, and what they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from curate.core.errors import CurateError

RepositoryKind = Literal["dataset", "model"]
MANIFEST = "manifest.json"
"""File of a repository that lists, under `files`, the files that `curate` put there."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Publication:
    """The files that a push brings to a repository, and what they are.

    Attributes:
        kind: Type of the repository.
        files: Path in the repository → a file of this machine, or the content itself. `manifest.json` is one of them.
        manifest: The content of `manifest.json`; its `files` have `path` and `sha256` of all other files.
        message: Title of the commit.
        tag: Tag of the commit, as "snapshot-12"; None: no tag.
        read_as_data: Patterns of the paths that whoever loads the repository reads as rows.
    """

    kind: RepositoryKind
    files: Mapping[str, Path | bytes]
    manifest: Mapping[str, Any]
    message: str
    tag: str | None = None
    read_as_data: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to publish, with the two digests by which the hub knows files."""

    path: str
    source: Path | bytes
    bytes: int
    sha256: str
    git_oid: str


def check_repository_name(name: str) -> str:
    """Return a repository's name, as `org/name`.

    Raises:
        CurateError: The hub has no such names.
    """
    short = name.partition("/")[2]
    is_bad = "--" in name or ".." in name or name.endswith((".git", ".", "-")) or len(short) > 96
    if is_bad or not _NAME.fullmatch(name):
        raise CurateError(
            f"{name!r} is no name of a repository on the hub: write owner/name, with letters, digits, `-`, `_` and "
            "`.` (no `--`, no `..`, no sign at the end, at most 96 characters after the slash)."
        )
    return name


def find_inside(folder: Path, path: str) -> Path:
    """Return a file that a manifest names.

    Raises:
        CurateError: The name leads out of the folder, so that a file of somebody else would be published.
    """
    file = (folder / path).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise CurateError(f"{folder} names the file {path!r}, which lies outside of it: nothing is pushed.")
    return file


def read_local_files(publication: Publication) -> list[LocalFile]:
    """Read the digests of all files, and hold them against the manifest.

    Raises:
        CurateError: A file is missing or is not what the manifest says.
    """
    recorded = {file["path"]: file["sha256"] for file in publication.manifest["files"]}
    files = [_read_file(path, source) for path, source in sorted(publication.files.items())]
    for file in files:
        if file.path != MANIFEST and recorded.get(file.path) != file.sha256:
            raise CurateError(
                f"{file.path} is not the file that {MANIFEST} names: it was changed after it was written. Write the "
                "folder again (`curate export`, `curate train`), then push."
            )
    return files


def _read_file(path: str, source: Path | bytes) -> LocalFile:
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        digest, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        if isinstance(source, bytes):
            digest.update(source)
            git.update(source)
        else:
            with source.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
                    git.update(block)
    except OSError as error:
        raise CurateError(
            f"Cannot read {source!s}: {error.strerror}. Write the folder again, then push."
        ) from error
    return LocalFile(path, source, size, digest.hexdigest(), git.hexdigest())
