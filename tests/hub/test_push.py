"""Pushes through the real client of the hub, to a stand-in of the hub's API."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from curate.config.export import ExportEntry
from curate.config.hub import PushTarget
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.secrets import scrub_text
from curate.export import write_export
from curate.hub import Publication, PushResult, push_publication
from curate.hub.publication import check_repository_name
from curate.lake.lake import Lake
from curate.pipeline.push import build_publication, push_folder
from tests.hub import standin
from tests.hub.standin import READ_ONLY, TOKEN, StandInHub

# The client of the hub hands files to its HTTP client in a way that the latter finds old.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
REPO = "org/preferences"
TARGET = PushTarget(repository=REPO)


def push(folder: Path, **options: Any) -> PushResult:
    return push_folder(Config(), folder, TARGET, **options)


def read_folder(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


def test_an_export_arrives_whole_private_and_tagged(hub: StandInHub, export: Path) -> None:
    result = push(export)
    repository = hub.repository(REPO)
    files = hub.files(REPO)
    assert files.pop(".gitattributes")
    assert files == read_folder(export)
    assert repository.private
    snapshot = json.loads((export / "manifest.json").read_text())["snapshot"]
    assert repository.tags == {f"snapshot-{snapshot}": repository.head} == {result.tag: result.revision}
    assert [message for _, message, _ in repository.commits][1:] == [
        f"Snapshot {snapshot}: 72 rows of trl-preference"
    ]


def test_the_same_state_again_sends_nothing(hub: StandInHub, export: Path) -> None:
    first = push(export)
    before = hub.uploaded
    hub.requests.clear()
    again = push(export)
    assert (again.revision, again.tag) == (first.revision, first.tag)
    assert hub.uploaded == before
    assert not [path for method, path in hub.requests if method in ("PUT", "POST")]


def test_a_dry_run_says_what_would_go_up_and_sends_nothing(hub: StandInHub, export: Path) -> None:
    result = push(export, dry_run=True)
    assert {file.path: file.bytes for file in result.plan.uploads} == {
        path: len(content) for path, content in read_folder(export).items()
    }
    assert (result.revision, result.plan.head) == (None, None)
    assert not hub.repositories
    push(export)
    plan = push(export, dry_run=True).plan
    assert (plan.uploads, plan.removed, plan.head) == ((), (), hub.repository(REPO).head)


def test_a_new_snapshot_is_a_new_commit_and_tag(hub: StandInHub, export: Path, labelled_lake: Lake) -> None:
    first = push(export)
    old = read_folder(export)
    labelled_lake.rows("UPDATE lake.preferences SET confidence = 0.99 WHERE confidence = 0.8")
    write_export(labelled_lake, Config(), ExportEntry(path=str(export), jsonl=True))
    second = push(export)
    repository = hub.repository(REPO)
    assert len(repository.commits) == 3
    assert repository.tags == {first.tag: first.revision, second.tag: second.revision}
    then, now = hub.files(REPO, revision=str(first.tag)), hub.files(REPO, revision=str(second.tag))
    assert {path: then[path] for path in old} == old
    assert {path: now[path] for path in read_folder(export)} == read_folder(export)
    # Without the JSON lines, they go; what others brought stays.
    hub.add_file(REPO, "notes/by-hand.txt", b"mine")
    labelled_lake.rows("UPDATE lake.preferences SET confidence = 0.98 WHERE confidence = 0.99")
    write_export(labelled_lake, Config(), ExportEntry(path=str(export)))
    third = push(export)
    assert third.plan.removed == ("jsonl/train-00000.jsonl",)
    assert "jsonl/train-00000.jsonl" not in hub.files(REPO)
    assert hub.files(REPO)["notes/by-hand.txt"] == b"mine"
    assert not [path for method, path in hub.requests if method == "DELETE"]


def test_an_older_state_is_not_put_over_a_newer_one(
    hub: StandInHub, export: Path, labelled_lake: Lake, tmp_path: Path
) -> None:
    push(export)
    labelled_lake.rows("UPDATE lake.preferences SET confidence = 0.99 WHERE confidence = 0.8")
    newer = tmp_path / "newer"
    write_export(labelled_lake, Config(), ExportEntry(path=str(newer)))
    push(newer)
    with pytest.raises(CurateError, match=r"holds snapshot \d+, which is newer than snapshot \d+"):
        push(export)
    result = push(export, replace=True)
    assert result.tag == f"snapshot-{json.loads((export / 'manifest.json').read_text())['snapshot']}"
    assert len(hub.repository(REPO).commits) == 4


def test_the_tag_of_a_snapshot_is_never_moved(
    hub: StandInHub, export: Path, labelled_lake: Lake, tmp_path: Path
) -> None:
    """Another export of one snapshot gets a tag of its own."""
    first = push(export)
    other = tmp_path / "other"
    with Lake.open(labelled_lake.location, read_only=True) as lake:
        write_export(lake, Config(), ExportEntry(path=str(other), min_confidence=0.75))
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["snapshot"] = json.loads((export / "manifest.json").read_text())["snapshot"]
    (other / "manifest.json").write_text(json.dumps(manifest))
    second = push(other)
    assert second.tag is not None
    assert second.tag.startswith(f"{first.tag}-")
    assert hub.repository(REPO).tags == {first.tag: first.revision, second.tag: second.revision}
    assert push(other).tag == second.tag


def test_a_push_that_was_cut_goes_on_where_it_ended(hub: StandInHub, tmp_path: Path) -> None:
    publication = make_publication(
        {f"data/{number}.parquet": bytes([number]) * 40_000 for number in range(8)}
    )
    puts = 0

    def cut_from_the_fifth(method: str, path: str) -> str | None:
        nonlocal puts
        if method == "PUT":
            puts += 1
        return "cut" if method == "PUT" and puts > 4 else None

    hub.fault = cut_from_the_fifth
    with pytest.raises(CurateError, match=r"connection to the hub broke .* Run the same command again"):
        push_publication(publication, REPO)
    arrived = len(hub.large)
    assert arrived == 4
    assert len(hub.repository(REPO).commits) == 1  # nothing of it is to be seen
    hub.fault = lambda method, path: None
    hub.requests.clear()
    result = push_publication(publication, REPO)
    assert len([path for method, path in hub.requests if method == "PUT"]) == 4
    assert hub.repository(REPO).head == result.revision
    assert len(hub.files(REPO)) == 8 + 2


def test_a_push_that_ended_before_its_tag_gets_it_the_next_time(hub: StandInHub, export: Path) -> None:
    hub.fault = lambda method, path: 503 if "/tag/" in path else None
    with pytest.raises(CurateError, match="trouble of its own and answers with 503"):
        push(export)
    assert not hub.repository(REPO).tags
    hub.fault = lambda method, path: None
    before = hub.uploaded
    result = push(export)
    assert hub.repository(REPO).tags == {result.tag: hub.repository(REPO).head}
    assert hub.uploaded == before


def test_large_files_go_up_in_parts(hub: StandInHub) -> None:
    hub.multipart_from = 2 << 20
    content = bytes(range(256)) * (10 << 10)
    push_publication(make_publication({"data/big.parquet": content}), REPO)
    assert hub.files(REPO)["data/big.parquet"] == content
    assert len([path for method, path in hub.requests if method == "PUT"]) == 3


@pytest.mark.parametrize(
    ("where", "status", "sentence"),
    [
        ("/commit/", 401, "does not know the token"),
        ("/preupload/", 403, "may not write to org/preferences"),
        ("/refs", 404, "has no org/preferences, or the token may not see it"),
        ("/commit/", 409, "changed by somebody else during this push, so nothing was committed"),
        ("/preupload/", 429, "too many requests"),
        ("/objects/batch", 502, "answers with 502 .* goes on with what is not there yet"),
        ("/commit/", 413, "refuses the push to org/preferences with 413"),
    ],
)
def test_what_the_hub_refuses_is_a_sentence(
    hub: StandInHub, export: Path, where: str, status: int, sentence: str
) -> None:
    hub.fault = lambda method, path: status if where in path else None
    with pytest.raises(CurateError, match=sentence) as caught:
        push(export)
    assert TOKEN not in str(caught.value)


def test_tokens(hub: StandInHub, export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", READ_ONLY)
    with pytest.raises(CurateError, match="may not write"):
        push(export)
    monkeypatch.setenv("HF_TOKEN", "hf_expired0123456789")
    with pytest.raises(CurateError, match="does not know the token") as caught:
        push(export)
    assert "hf_expired" not in str(caught.value)
    monkeypatch.delenv("HF_TOKEN")
    assert scrub_text("Bearer hf_expired0123456789") == "Bearer [secret]"  # known, since it was used
    with pytest.raises(CurateError, match="needs a token of the hub: set HF_TOKEN, or run `hf auth login`"):
        push(export)
    hub.requests.clear()
    plan = push(export, dry_run=True)  # which anybody may want before there is an account
    assert plan.plan.uploads
    assert plan.revision is None
    assert not plan.is_compared
    assert not hub.requests


def test_a_public_repository_is_asked_for(hub: StandInHub, export: Path) -> None:
    push(export, private=False)
    assert not hub.repository(REPO).private
    with pytest.raises(
        CurateError, match=r"is public, and this push is for a private repository: say `--public`"
    ):
        push(export)


def test_files_of_others_are_neither_overwritten_nor_read(
    hub: StandInHub, export: Path, labelled_lake: Lake
) -> None:
    push(export)
    hub.add_file(REPO, "README.md", b"# Written by hand\n")
    labelled_lake.rows("UPDATE lake.preferences SET confidence = 0.99 WHERE confidence = 0.8")
    write_export(labelled_lake, Config(), ExportEntry(path=str(export)))
    with pytest.raises(
        CurateError, match=r"README.md of org/preferences has been changed there since the last push"
    ):
        push(export)
    assert hub.files(REPO)["README.md"] == b"# Written by hand\n"
    push(export, replace=True)
    assert hub.files(REPO)["README.md"] == (export / "README.md").read_bytes()
    hub.add_file(REPO, "data/train-more.parquet", b"PAR1")
    labelled_lake.rows("UPDATE lake.preferences SET confidence = 0.98 WHERE confidence = 0.99")
    write_export(labelled_lake, Config(), ExportEntry(path=str(export)))
    for is_replacing in (False, True):
        with pytest.raises(
            CurateError, match=r"holds data/train-more.parquet, which `curate` did not put there"
        ):
            push(export, replace=is_replacing)


def test_a_repository_of_another_kind_of_export_is_left_alone(
    hub: StandInHub, export: Path, labelled_lake: Lake, tmp_path: Path
) -> None:
    push(export)
    rankings = tmp_path / "rankings"
    write_export(labelled_lake, Config(), ExportEntry(path=str(rankings), format="ranking"))
    with pytest.raises(
        CurateError, match="holds an export of the format 'trl-preference', and this one is 'ranking'"
    ):
        push(rankings)


def test_a_commit_of_somebody_else_during_a_push_is_seen(
    hub: StandInHub, export: Path, labelled_lake: Lake
) -> None:
    push(export)
    labelled_lake.rows("UPDATE lake.preferences SET confidence = 0.99 WHERE confidence = 0.8")
    write_export(labelled_lake, Config(), ExportEntry(path=str(export)))

    def commit_between(method: str, path: str) -> None:
        if method == "PUT" and not hub.repository(REPO).commits[-1][1].startswith("Update"):
            hub.add_file(REPO, "theirs.txt", b"theirs")

    hub.fault = commit_between
    with pytest.raises(CurateError, match="was changed by somebody else during this push"):
        push(export)
    assert push(export).revision == hub.repository(REPO).head
    assert "theirs.txt" in hub.files(REPO)


def test_files_that_the_repository_ignores_are_missed(hub: StandInHub, export: Path) -> None:
    hub.ignored = (".parquet",)
    with pytest.raises(CurateError, match=r"left data/train-00000.parquet out of the commit .*gitignore"):
        push(export)


def test_a_damaged_folder_is_not_pushed(hub: StandInHub, export: Path, tmp_path: Path) -> None:
    (export / "data" / "train-00000.parquet").write_bytes(b"cut")
    with pytest.raises(CurateError, match=r"train-00000.parquet is not the file that manifest.json names"):
        push(export)
    (tmp_path / "secret.txt").write_text("mine")
    manifest = json.loads((export / "manifest.json").read_text())
    manifest["files"][0]["path"] = "../secret.txt"
    (export / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CurateError, match="lies outside of it: nothing is pushed"):
        push(export)
    with pytest.raises(CurateError, match="neither an export of `curate` nor a model"):
        push(tmp_path)
    assert not hub.repositories


@pytest.mark.parametrize(
    "name", ["alone", "a/b/c", "org/a b", "org/a--b", "org/..", "org/x.git", "-/x", "org/" + "x" * 97]
)
def test_names_that_the_hub_does_not_have(name: str) -> None:
    with pytest.raises(CurateError, match="is no name of a repository on the hub: write owner/name"):
        check_repository_name(name)


def test_trees_of_many_files_are_read_to_their_end(hub: StandInHub) -> None:
    files = {f"data/{number:03}.parquet": b"%d" % number for number in range(3 * standin.PAGE)}
    push_publication(make_publication(files), REPO)
    result = push_publication(make_publication(files | {"data/000.parquet": b"other"}), REPO)
    assert {file.path for file in result.plan.uploads} == {"data/000.parquet", "manifest.json"}


def make_publication(files: dict[str, bytes]) -> Publication:
    import hashlib

    listed = [
        {"path": path, "sha256": hashlib.sha256(content).hexdigest()} for path, content in files.items()
    ]
    manifest = {"curate_export": 1, "files": listed}
    return Publication(
        kind="dataset",
        files={**files, "manifest.json": json.dumps(manifest).encode()},
        manifest=manifest,
        message="Files",
    )


def test_a_publication_without_a_tag_makes_none(hub: StandInHub, export: Path) -> None:
    publication = replace(build_publication(Config(), export, TARGET), tag=None)
    assert push_publication(publication, REPO).tag is None
    assert not hub.repository(REPO).tags
