"""Plan a push: hold the files of this machine against those of the repository, before anything is sent."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.core.errors import CurateError
from curate.hub.publication import MANIFEST, LocalFile, Publication, RepositoryKind

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

_MOST_MANIFEST = 64 << 20  # bytes


@dataclass(frozen=True, slots=True)
class PushPlan:
    """The changes that a push makes.

    Attributes:
        head: The commit that the plan starts from; None: the repository does not exist yet.
        private: Whether the repository is private; None: it does not exist yet.
        uploads: Files that the repository lacks, or has with another content.
        unchanged: Files that it has already.
        removed: Files of an earlier push that this state no longer has.
    """

    repository: str
    kind: RepositoryKind
    head: str | None
    private: bool | None
    uploads: tuple[LocalFile, ...]
    unchanged: tuple[LocalFile, ...]
    removed: tuple[str, ...]

    @property
    def upload_bytes(self) -> int:
        """Return the size of the files to upload; with Xet fewer bytes go out, since known chunks stay."""
        return sum(file.bytes for file in self.uploads)


def make_plan(
    api: HfApi,
    publication: Publication,
    files: Sequence[LocalFile],
    repository: str,
    *,
    replace: bool = False,
) -> PushPlan:
    """Compare a publication with the newest state of its repository.

    Args:
        api: Client of the hub.
        publication: What is to be published.
        files: Its files.
        repository: Name of the repository.
        replace: Files that others put there, or have changed, may be overwritten. They are never removed.

    Raises:
        CurateError: The push would overwrite what is not ours, or go back to an older state.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.repo_info(repository, repo_type=publication.kind, timeout=30)
    except RepositoryNotFoundError:
        return PushPlan(repository, publication.kind, None, None, tuple(files), (), ())
    head = str(info.sha)
    state = RemoteState(api, repository, publication.kind, head)
    unchanged = [file for file in files if state.holds(file)]
    uploads = [file for file in files if not state.holds(file)]
    removed = [path for path in state.ours if path in state.tree and path not in publication.files]
    if uploads or removed:
        _refuse_strangers(publication, state)
        if not replace:
            _refuse_other_states(publication, state)
            _refuse_overwriting(uploads, removed, state)
    removed = [path for path in removed if state.is_as_we_left_it(path)]
    return PushPlan(
        repository,
        publication.kind,
        head,
        info.private,
        tuple(uploads),
        tuple(unchanged),
        tuple(sorted(removed)),
    )


class RemoteState:
    """The files of a repository at one commit, and which of them an earlier push brought."""

    def __init__(self, api: HfApi, repository: str, kind: RepositoryKind, revision: str) -> None:
        self._api = api
        self.repository = repository
        self._kind = kind
        self._revision = revision
        self.tree: dict[str, RepoFile] = dict(self._list_files())
        self.manifest: Mapping[str, Any] = self._read_manifest() if MANIFEST in self.tree else {}
        self.ours: dict[str, str] = {
            str(file["path"]): str(file["sha256"]) for file in self.manifest.get("files", ())
        }

    def holds(self, file: LocalFile) -> bool:
        """Tell whether the repository has this very file."""
        remote = self.tree.get(file.path)
        if remote is None:
            return False
        return remote.blob_id == file.git_oid if remote.lfs is None else remote.lfs.sha256 == file.sha256

    def is_as_we_left_it(self, path: str) -> bool:
        """Tell whether a file of the repository is ours, and nobody has changed it since."""
        if path == MANIFEST:
            return bool(self.manifest)
        if path not in self.ours:
            return False
        remote = self.tree[path]
        digest = hashlib.sha256(self._download(path)).hexdigest() if remote.lfs is None else remote.lfs.sha256
        return digest == self.ours[path]

    def _list_files(self) -> Iterator[tuple[str, RepoFile]]:
        from huggingface_hub.hf_api import RepoFile

        entries = self._api.list_repo_tree(
            self.repository, recursive=True, revision=self._revision, repo_type=self._kind
        )
        return ((entry.path, entry) for entry in entries if isinstance(entry, RepoFile))

    def _read_manifest(self) -> Mapping[str, Any]:
        if self.tree[MANIFEST].size > _MOST_MANIFEST:
            return {}
        try:
            manifest = json.loads(self._download(MANIFEST))
            is_ours = any(name.startswith("curate_") for name in manifest) and all(
                {"path", "sha256"} <= file.keys() for file in manifest["files"]
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return {}
        return manifest if is_ours else {}

    def _download(self, path: str) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            file = self._api.hf_hub_download(
                self.repository, path, revision=self._revision, repo_type=self._kind, local_dir=folder
            )
            return Path(file).read_bytes()


def _refuse_strangers(publication: Publication, state: RemoteState) -> None:
    """Refuse a repository in which a file of others would be read as rows of this data set."""
    for path in state.tree:
        is_known = path in publication.files or state.ours.get(path) is not None
        if not is_known and any(fnmatch(path, pattern) for pattern in publication.read_as_data):
            raise CurateError(
                f"{state.repository} holds {path}, which `curate` did not put there, and whoever loads the data set "
                "would read it as part of this one: move it away, or push to another repository."
            )


def _refuse_other_states(publication: Publication, state: RemoteState) -> None:
    old, new = state.manifest.get("format"), publication.manifest.get("format")
    if old is not None and old != new:
        raise CurateError(
            f"{state.repository} holds an export of the format {old!r}, and this one is {new!r}: push to another "
            "repository, or put this one in its place with --replace."
        )
    before, after = state.manifest.get("snapshot"), publication.manifest.get("snapshot")
    if isinstance(before, int) and isinstance(after, int) and before > after:
        raise CurateError(
            f"{state.repository} holds snapshot {before}, which is newer than snapshot {after} of this folder: export "
            "again, or go back to the older state with --replace."
        )


def _refuse_overwriting(uploads: Sequence[LocalFile], removed: Sequence[str], state: RemoteState) -> None:
    changed = [file.path for file in uploads if file.path in state.tree] + list(removed)
    for path in changed:
        if not state.is_as_we_left_it(path):
            how = (
                "has been changed there since the last push"
                if path in state.ours
                else "was not put there by `curate`"
            )
            raise CurateError(
                f"{path} of {state.repository} {how}, so it is left alone: push to another repository, or overwrite "
                "such files with --replace (the hub keeps their history)."
            )
