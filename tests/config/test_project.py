"""curate.yaml: what is wrong is named with its key, its value and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.config.project import load_config
from curate.core.errors import CurateError
from curate.core.resources import find_resource


def load(tmp_path: Path, text: str):  # type: ignore[no-untyped-def]
    path = tmp_path / "curate.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agregate: {}", "unknown key `agregate`: did you mean `aggregate`?"),
        ("aggregate: {metod: x}", "unknown key `aggregate.metod`: did you mean `method`?"),
        ("aggregate: {zzz: 1}", "unknown key `aggregate.zzz`: allowed here: annotator_model, vote, method"),
        (
            "aggregate: {method: vote}",
            "`aggregate.method` is 'vote': input should be 'ensemble-then-denoise'",
        ),
        ("export: [{path: x, format: csv}]", "`export.0.format` is 'csv', which is no kind of export format"),
        ("export: [{format: parquet}]", "`export.0.path` is missing."),
        ("ingest: [{sorce: x}]", "did you mean `source`?"),
        ("ingest: [{source: x, fields: {promt: q}}]", "did you mean `prompt`?"),
        ("judge: {judges: [{kind: rule}]}", "every judge needs a `name`"),
        ("judge: {judges: [{name: j}, {name: j}]}", "two judges are called 'j'"),
        ("train: {epochs: many}", "`train.epochs` is 'many': input should be a valid integer"),
        ("train: {folds: 1}", "`train.folds` is 1: input should be greater than or equal to 3"),
        ("- a list", "must hold a mapping of sections, not a list"),
        ("a: [1", "is not valid YAML"),
    ],
)
def test_errors_name_key_value_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CurateError) as caught:
        load(tmp_path, text)
    assert message in str(caught.value)
    assert "curate.yaml" in str(caught.value)


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(CurateError) as caught:
        load(tmp_path, "train: {epochs: many, fold: 3}\nreport: {pth: x}")
    assert len(str(caught.value).splitlines()) == 3


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CurateError, match=r"no .*nothing\.yaml: write one with `curate init`"):
        load_config(tmp_path / "nothing.yaml")


def test_an_empty_file_is_a_project_with_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    assert config.location.catalog == str(tmp_path / ".curate" / "lake" / "catalog.sqlite")


def test_paths_start_at_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, "workspace: ws\nlake: {data: elsewhere}")
    assert config.location.data == str(tmp_path / "elsewhere")
    assert config.resolve("a/b") == tmp_path / "a" / "b"


def test_a_bucket_stays_a_url(tmp_path: Path) -> None:
    assert load(tmp_path, "lake: {data: 's3://bucket/lake'}").location.data == "s3://bucket/lake"


def test_secrets_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load(tmp_path, "lake: {catalog: 'postgresql://me:${LAKE_PASSWORD}@host/db'}")
    with pytest.raises(CurateError, match="LAKE_PASSWORD"):
        config.location  # noqa: B018  # the property raises
    monkeypatch.setenv("LAKE_PASSWORD", "s3cret")
    assert load(tmp_path, "lake: {catalog: 'postgresql://me:${LAKE_PASSWORD}@host/db'}").location.is_postgres


def test_the_template_project_is_valid() -> None:
    assert load_config(Path(str(find_resource("cli/project_template/curate.yaml")))).judge.judges


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{backbone: {model: m}, hidden: 3, noise: {method: flip}}", "hidden: with `backbone`"),
        ("{noise: {method: co-teaching}}", "set members: 2"),
        ("{backbone: {model: m, loss: {kind: ordinal}}}", "set `output: ordinal`"),
        ("{backbone: {model: m, forward: joint, loss: {kind: margin}}}", "responses that are scored alone"),
        ("{backbone: {model: m, row_tokens: 64, batch_tokens: 32}}", "row_tokens is more than batch_tokens"),
        ("{backbone: {model: m, lorra: {}}}", "did you mean `lora`"),
    ],
)
def test_training_settings_that_do_not_fit_are_explained(section: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "curate.yaml"
    file.write_text(f"train: {section}")
    with pytest.raises(CurateError, match=message):
        load_config(file)


@pytest.mark.parametrize("path", ["out", "./out", "out/../out", "out/sub", "."])
def test_an_export_replaces_no_other_one(path: str, tmp_path: Path) -> None:
    (tmp_path / "curate.yaml").write_text(
        f"export: [{{path: out, format: trl-preference}}, {{path: {path}, format: parquet}}]"
    )
    with pytest.raises(CurateError, match="an export would replace another"):
        load_config(tmp_path / "curate.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "ingest: [{source: a.jsonl}]\nworkspace: w\ningest: [{source: b.jsonl}]\n",
            "names `ingest` twice .*line 3",
        ),
        ("judge:\n  chunk: 1\n  chunk: 2\n", "names `chunk` twice in one place .*line 3"),
        ("ingest: [{source: a.jsonl, name: x, name: y}]\n", "names `name` twice"),
        ("workspace: ${FOLDER}/lake\n", "`workspace` .*FOLDER.* is a variable, .*`lake.catalog` alone"),
        ("ingest: [{source: $HOME/rows.jsonl}]\n", "`ingest.0.source` .*\\$HOME is a variable"),
        ("lake: {data: '${BUCKET}'}\n", "`lake.data` .*is a variable"),
        ("export: [{path: ''}]\n", "`export.0.path` .*a path is empty"),
        ("workspace: ~nobody-of-this-name/x\n", "~nobody-of-this-name is no folder of a user"),
        ('workspace: "a\\0b"\n', "a character that no file's name has"),
        ("workspace: a\0b\n", "is not valid YAML"),
        ('report: {path: "\\ud800"}\n', "a character that no file's name has"),
    ],
)
def test_what_would_silently_mean_something_else_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "curate.yaml").write_text(text)
    with pytest.raises(CurateError, match=message):
        load_config(tmp_path / "curate.yaml")


def test_keys_that_are_merged_and_anchors_that_are_repeated_are_not_named_twice(tmp_path: Path) -> None:
    text = "ingest:\n  - &first {source: a.jsonl, name: x}\n  - {<<: *first, name: y}\n  - *first\n"
    (tmp_path / "curate.yaml").write_text(text)
    assert [source.name for source in load_config(tmp_path / "curate.yaml").ingest] == ["x", "y", "x"]


def test_a_home_folder_and_a_dollar_in_a_name_are_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "curate.yaml").write_text("workspace: ~/w\nreport: {path: price$5.html}\n")
    config = load_config(tmp_path / "curate.yaml")
    assert (config.workspace, config.report.path) == (str(tmp_path / "home" / "w"), "price$5.html")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_named(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "curate.yaml").write_bytes("workspace: é\n".encode(encoding))
    with pytest.raises(CurateError, match=r"is not UTF-8 \(byte \d+\): save it with that encoding"):
        load_config(tmp_path / "curate.yaml")
