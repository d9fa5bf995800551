"""Push: bring a repository of the hub to the state of a publication, in one commit with a tag."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.core.secrets import register_secrets
from curate.hub.failures import explain_failures
from curate.hub.plan import PushPlan, RemoteState, make_plan
from curate.hub.publication import (
    LocalFile,
    Publication,
    check_repository_name,
    read_local_files,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_VERSION_CHARACTERS = 8  # of the digest in a tag, where the snapshot's own tag names another state


@dataclass(frozen=True, slots=True)
class PushResult:
    """The outcome of a push.

    Attributes:
        revision: Commit of the repository's state; None after a dry run.
        tag: Its tag; None after a dry run.
        is_compared: Whether the plan was held against the hub; False: a dry run without a token.
    """

    plan: PushPlan
    revision: str | None
    tag: str | None
    url: str
    is_compared: bool = True


def push_publication(
    publication: Publication,
    repository: str,
    *,
    private: bool = True,
    replace: bool = False,
    dry_run: bool = False,
) -> PushResult:
    """Upload what the repository lacks, commit it, and tag the commit.

    Nothing is committed before everything is uploaded, so readers see the old state or the new one. A push that broke
    off goes on where it ended: files (with Xet, chunks of files) that have arrived are not sent again.

    Args:
        publication: What is to be published.
        repository: Name of the repository, as owner/name. It is made where it does not exist.
        private: Make the repository private, and refuse one that is public.
        replace: Files that others put there, or have changed, may be overwritten. They are never removed.
        dry_run: Plan, and send nothing.

    Raises:
        CurateError: The name is no name, there is no token (a dry run needs none), or the hub refuses.
    """
    check_repository_name(repository)
    require_extra("hub", "huggingface_hub", purpose=f"Pushing to {repository}")
    files = read_local_files(publication)
    api = _open_client(repository, needs_token=not dry_run)
    if api is None:  # what the hub has of a private repository is not to be seen: all files count
        plan = PushPlan(repository, publication.kind, None, None, tuple(files), (), ())
        return PushResult(plan, None, None, "", is_compared=False)
    with explain_failures(repository):
        plan = make_plan(api, publication, files, repository, replace=replace)
        if private and plan.private is False:
            raise CurateError(
                f"{repository} is public, and this push is for a private repository: say `--public` (or `private: "
                "false` under `hub`), make it private in its settings, or name another one."
            )
        url = f"{api.endpoint}/{'datasets/' * (publication.kind == 'dataset')}{repository}"
        if dry_run:
            return PushResult(plan, None, None, url)
        revision = _commit(api, publication, plan, private)
        tag = _tag(api, publication, files, repository, revision)
    return PushResult(plan, revision, tag, url)


def _open_client(repository: str, *, needs_token: bool) -> HfApi | None:
    """Return a client of the hub, or None where there is no token and none is needed."""
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.utils.tqdm import disable_progress_bars

    from curate import __version__

    token = get_token()
    if not token and not needs_token:
        return None
    if not token:
        raise CurateError(
            f"Pushing to {repository} needs a token of the hub: set HF_TOKEN, or run `hf auth login`."
        )
    register_secrets([token])
    if not sys.stderr.isatty():
        disable_progress_bars()
    return HfApi(token=token, library_name="curate", library_version=__version__)


def _commit(api: HfApi, publication: Publication, plan: PushPlan, private: bool) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    head = plan.head
    if head is None:
        api.create_repo(plan.repository, repo_type=plan.kind, private=private, exist_ok=False)
        head = str(api.repo_info(plan.repository, repo_type=plan.kind, timeout=30).sha)
    if not plan.uploads and not plan.removed:
        return head
    operations: list[CommitOperationAdd | CommitOperationDelete] = []
    for file in plan.uploads:
        operation = CommitOperationAdd(
            file.path, file.source if isinstance(file.source, bytes) else str(file.source)
        )
        operation.upload_info.sha256 = bytes.fromhex(file.sha256)  # known: the client need not read it again
        operations.append(operation)
    operations += [CommitOperationDelete(path, is_folder=False) for path in plan.removed]
    commit = api.create_commit(
        plan.repository,
        operations,
        commit_message=publication.message,
        repo_type=plan.kind,
        parent_commit=head,
    )
    _check_arrival(RemoteState(api, plan.repository, plan.kind, commit.oid), plan)
    return commit.oid


def _check_arrival(state: RemoteState, plan: PushPlan) -> None:
    """Raise where a file is not in the commit: a `.gitignore` of the repository leaves files out without a word."""
    for file in plan.uploads:
        if not state.holds(file):
            raise CurateError(
                f"The hub left {file.path} out of the commit to {plan.repository}: a `.gitignore` there names it. "
                "Remove that line, then push again."
            )


def _tag(
    api: HfApi, publication: Publication, files: Sequence[LocalFile], repository: str, revision: str
) -> str | None:
    """Tag the commit, or return the tag that names this very state already. A tag is never moved."""
    if publication.tag is None:
        return None
    content = json.dumps([(file.path, file.sha256) for file in files]).encode()
    digest = hashlib.sha256(content).hexdigest()[:_VERSION_CHARACTERS]
    refs = api.list_repo_refs(repository, repo_type=publication.kind)
    known = {tag.name: tag.target_commit for tag in refs.tags}
    for name in (publication.tag, f"{publication.tag}-{digest}"):
        if name not in known:
            api.create_tag(
                repository,
                tag=name,
                tag_message=publication.message,
                revision=revision,
                repo_type=publication.kind,
            )
            return name
        state = RemoteState(api, repository, publication.kind, known[name])
        if known[name] == revision or all(state.holds(file) for file in files):
            return name
    raise CurateError(
        f"{repository} has the tags {publication.tag} and {publication.tag}-{digest}, and neither is this state: "
        "remove the second one there, then push again."
    )
