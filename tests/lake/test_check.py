"""`curate check` finds every kind of damage, and none in a lake that is whole."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.config.project import load_config
from curate.ingest import ingest_sources
from curate.lake.catalog_file import name_seal
from curate.lake.check.run import check_lake
from curate.lake.compaction import compact_lake
from curate.lake.lake import Lake, Location
from tests.cli.in_process import run_command

FLIPS = int(os.environ.get("CURATE_FLIPS", "40"))
PROMPTS = 400


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose lake has files of Arrow's writer and of DuckLake's, inlined rows and deleted ones."""
    folder = tmp_path_factory.mktemp("project")
    responses = [
        {
            "id": f"q{i}",
            "prompt": f"What is {i} + {i}?",
            "responses": [{"id": f"r{k}", "model": f"m{k}", "text": f"It is {2 * i + k}."} for k in range(3)],
        }
        for i in range(PROMPTS)
    ]
    judgments = [
        {"prompt": f"q{i}", "a": "r0", "b": f"r{k}", "annotator": "sam", "kind": "human", "winner": "a"}
        for i in range(PROMPTS)
        for k in (1, 2)
    ]
    for name, rows in (("responses", responses), ("judgments", judgments)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    sources = "ingest:\n  - source: responses.jsonl\n  - {source: judgments.jsonl, kind: judgments}\n"
    (folder / "curate.yaml").write_text(sources, encoding="utf-8")
    config = load_config(folder / "curate.yaml")
    with Lake.open(config.location) as lake:
        ingest_sources(lake, config)
        with lake.write("x") as writer:
            writer.delete("judgments", "prompt_id < '1'")
    return folder


@pytest.fixture
def project(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "project")
    return tmp_path / "project"


def find_lake(project: Path) -> Location:
    return Location.under(project / ".curate" / "lake")


def list_files(project: Path) -> list[Path]:
    return sorted(path for path in (project / ".curate" / "lake").rglob("*") if path.is_file())


def flip_bit(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_a_whole_lake_has_no_findings(project: Path) -> None:
    report = check_lake(find_lake(project))
    assert (report.findings, report.notes) == ([], [])
    assert report.rows["responses"] == 3 * PROMPTS
    assert report.files > 3
    with Lake.open(find_lake(project)) as lake:
        compact_lake(lake)
    assert check_lake(find_lake(project)).findings == []


def test_the_command_says_it_in_words_in_json_and_by_its_exit_code(project: Path) -> None:
    done = run_command(project, "check")
    assert (done.returncode, done.stdout[:10]) == (0, "0 findings")
    broken = next(path for path in list_files(project) if path.parent.name == "responses")
    flip_bit(broken, 8 * 100)
    done = run_command(project, "check", "--json", "--files")
    assert done.returncode == 1
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["where"] == str(broken)
    assert "the checksum differs" in finding["sentence"]
    assert run_command(project, "check", "--repair").returncode == 1  # only a backup knows what was there


def test_every_flipped_bit_is_found(project: Path) -> None:
    """Over all files, larger ones more often; files without content have no bits."""
    rng = random.Random(0)
    files = [path for path in list_files(project) if path.stat().st_size]
    assert {path.suffix for path in files} == {".parquet", ".sqlite", ".seal", ".json"}
    sizes = [path.stat().st_size for path in files]
    chosen = [*files, *rng.choices(files, sizes, k=FLIPS)][:FLIPS]  # each file once at least
    missed = []
    for path in chosen:
        bit = rng.randrange(8 * path.stat().st_size)
        flip_bit(path, bit)
        if not check_lake(find_lake(project), files_only=True).findings:
            missed.append((path, bit))
        flip_bit(path, bit)
    assert missed == []
    assert check_lake(find_lake(project), files_only=True).findings == []


def test_flips_in_files_without_checksums_show_in_the_ids(project: Path) -> None:
    """A changed text, in a file that DuckLake reads without complaint."""
    location = find_lake(project)
    with Lake.open(location) as lake:
        lake.rows("DROP TABLE __ducklake_metadata_lake.curate_checksums")
        with lake.lock():
            pass  # seals it again
        path = Path(next(file.path for file in lake.files.list_data_files() if file.table == "responses"))
    assert check_lake(location).findings == []
    # Texts stand in the new file as they are.
    pq.write_table(pq.read_table(path), path, compression="none", use_dictionary=False)
    content = path.read_bytes()
    sizes = f"file_size_bytes = {len(content)}, footer_size = {int.from_bytes(content[-8:-4], 'little')}"
    with Lake.open(location) as lake, lake.lock():
        listed = "__ducklake_metadata_lake.ducklake_data_file"
        lake.rows(f"UPDATE {listed} SET {sizes} WHERE path = '{path.name}'")
    path.write_bytes(content.replace(b"It is 10.", b"It is 11."))
    sentences = [finding.sentence for finding in check_lake(location).findings]
    assert any("rows are not what their ids say" in sentence for sentence in sentences), sentences


def delete_prompts(lake: Lake) -> None:
    lake.rows("DELETE FROM lake.prompts WHERE \"key\" = 'q7'")


def double_responses(lake: Lake) -> None:
    lake.rows(
        "INSERT INTO lake.responses SELECT * FROM lake.responses WHERE \"key\" = 'q7-r0' OR \"key\" = 'r0' LIMIT 2"
    )


def turn_judgments(lake: Lake) -> None:
    lake.rows(
        "UPDATE lake.judgments SET response_a = response_b, response_b = response_a WHERE prompt_id > 'f'"
    )


def change_texts(lake: Lake) -> None:
    lake.rows("UPDATE lake.prompts SET reference = 'other' WHERE \"key\" = 'q7'")


@pytest.mark.parametrize(
    ("damage", "kind", "table"),
    [
        (delete_prompts, "reference", "responses"),
        (double_responses, "id", "responses"),
        (turn_judgments, "id", "judgments"),
        (change_texts, "id", "prompts"),
    ],
)
def test_rows_that_contradict_each_other_are_found(
    project: Path, damage: Callable[[Lake], None], kind: str, table: str
) -> None:
    with Lake.open(find_lake(project)) as lake, lake.lock():
        damage(lake)
    report = check_lake(find_lake(project))
    assert (kind, table) in {(finding.kind, finding.where) for finding in report.findings}, report


def test_missing_and_short_files_are_named(project: Path) -> None:
    first, second = [path for path in list_files(project) if path.parent.name in ("prompts", "responses")][:2]
    first.unlink()
    os.truncate(second, 100)
    report = check_lake(find_lake(project))
    sentences = {finding.where: finding.sentence for finding in report.findings}
    assert sentences[str(first)] == "it is missing"
    assert sentences[str(second)].startswith("it has 100 bytes")


def test_an_older_copy_of_the_catalog_is_found(project: Path, tmp_path: Path) -> None:
    location = find_lake(project)
    shutil.copy(location.catalog, tmp_path / "older")
    with Lake.open(location) as lake, lake.write("x") as writer:
        writer.delete("judgments", "true")
    shutil.copy(tmp_path / "older", location.catalog)
    (finding,) = check_lake(location, files_only=True).findings
    assert finding.kind == "seal"


def test_repair_records_what_a_killed_writer_and_other_programs_left_open(project: Path) -> None:
    location = find_lake(project)
    with Lake.open(location) as lake:
        lake.rows("DROP TABLE __ducklake_metadata_lake.curate_checksums")
    name_seal(location.catalog).unlink()
    claim = next(Path(location.data).glob("curate-catalog-*.json"))
    flip_bit(claim, 80)
    report = check_lake(location)
    assert [finding.kind for finding in report.findings] == ["claim"]
    assert len(report.notes) == 2  # no checksums, no seal
    repaired = check_lake(location, repair=True)
    assert repaired.findings == repaired.notes == []
    assert len(repaired.repairs) == 3
    again = check_lake(location)
    assert again.findings == again.notes == []
