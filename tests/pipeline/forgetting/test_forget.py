"""A source, a prompt or a person is forgotten: nothing of it is left, and nothing else is gone."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from curate.aggregate import aggregate_judgments
from curate.cli.app import app
from curate.core.errors import CurateError
from curate.data.pseudonym import Pseudonyms
from curate.ingest import ingest_sources
from curate.lake.check.run import check_lake
from curate.lake.lake import Lake
from curate.pipeline.forgetting import (
    find_person,
    find_prompts,
    find_source,
    finish_killed_runs,
    forget_target,
    plan_forgetting,
)
from curate.pipeline.forgetting.receipt import check_receipt, read_receipt
from curate.records import GuaranteeTest, LabelUse, Record, TestedLabel
from tests.conftest import judge_pair, make_prompt, make_response, table
from tests.pipeline.forgetting.projects import (
    ingest,
    list_holders,
    pair,
    read_tables,
    trl,
    write_project,
    write_rows,
)


def test_a_forgotten_source_leaves_the_lake_as_if_it_had_never_been(tmp_path: Path) -> None:
    for name, files in (("both", ("a.jsonl", "b.jsonl")), ("one", ("b.jsonl",))):
        home = tmp_path / name
        config = write_project(home, *(trl(file, split=file, fields={"meta": ["note"]}) for file in files))
        write_rows(home / "a.jsonl", [pair(n, note="of a") for n in range(20)] + ["{broken"])
        write_rows(home / "b.jsonl", [pair(n, note="of b") for n in range(15, 30)])
        ingest(config).close()
    with Lake.open(write_project(tmp_path / "one", trl("b.jsonl")).location) as lake:
        expected = read_tables(lake)
    config = write_project(tmp_path / "both", trl("b.jsonl", split="b.jsonl", fields={"meta": ["note"]}))
    with Lake.open(config.location) as lake:
        plan = plan_forgetting(lake, target := find_source(lake, "a.jsonl"))
        assert (plan.removed["prompts"], plan.removed["judgments"], plan.removed["quarantine"]) == (15, 20, 1)
        assert plan.taken_over == 5 + 10  # prompts and responses that b brings too
        result = forget_target(lake, config, target)
        assert result.removed == plan.removed
        assert read_tables(lake) == expected
        assert "is in the lake" in check_receipt(lake, read_receipt(result.receipt))
        assert ingest_sources(lake, config).skipped


def test_a_forgotten_source_does_not_come_in_again(tmp_path: Path) -> None:
    config = write_project(tmp_path, trl("a.jsonl"))
    write_rows(tmp_path / "a.jsonl", [pair(1)])
    with ingest(config) as lake:
        forget_target(lake, config, find_source(lake, "a.jsonl"))
        with pytest.raises(CurateError, match=r"a\.jsonl was forgotten"):
            ingest_sources(lake, config)
        assert lake.value("SELECT count(*) FROM prompts") == 0


def test_erased_rows_are_in_no_file_and_the_receipt_says_so(tmp_path: Path) -> None:
    config = write_project(tmp_path, trl("a.jsonl"), trl("b.jsonl"))
    texts = [
        "only a knows this: " + letter * 20 for letter in "axz"
    ]  # also the least and the greatest of statistics
    write_rows(tmp_path / "a.jsonl", [pair(n, prompt=f"{text} {n}") for text in texts for n in range(500)])
    write_rows(tmp_path / "b.jsonl", [pair(n) for n in range(20)])
    with ingest(config) as lake:
        before = lake.rows("SELECT snapshot_id FROM lake.snapshots()")
    old_files = [path for path in tmp_path.rglob("*.parquet") if path.name.startswith("curate-")]
    shutil.copytree(tmp_path / ".curate", tmp_path / "copy")
    (tmp_path / "a.jsonl").unlink()
    with Lake.open(config.location) as lake:
        result = forget_target(lake, config, find_source(lake, "a.jsonl"), erase=True)
        assert lake.value("SELECT count(*) FROM prompts") == 20
        assert len(lake.rows("SELECT snapshot_id FROM lake.snapshots()")) < len(before)
    assert result.erasure is not None
    assert result.erasure.texts_compared > 1000
    (tmp_path / "copy").rename(tmp_path.parent / f"{tmp_path.name}-copy")
    for text in texts:
        assert list_holders(tmp_path, text) == []
    text = result.receipt.read_text()
    assert "secret" not in text
    assert "only a" not in text
    assert len(json.loads(text)["ids"]) == 1500 + 3000 + 1500
    with Lake.open(config.location, read_only=True) as lake:
        assert "nor in its catalog" in check_receipt(lake, read_receipt(result.receipt))
        assert check_lake(config.location).findings == []
    # A file that comes back, from a backup say, is noticed.
    (back,) = [file for file in old_files if "prompts" in str(file)]
    source = tmp_path.parent / f"{tmp_path.name}-copy" / back.relative_to(tmp_path / ".curate")
    shutil.copy(source, back)
    with Lake.open(config.location, read_only=True) as lake, pytest.raises(CurateError, match="still in"):
        check_receipt(lake, read_receipt(result.receipt))


def test_files_that_cannot_be_read_are_erased_where_nothing_names_them(tmp_path: Path) -> None:
    config = write_project(tmp_path, trl("a.jsonl"), trl("b.jsonl"))
    write_rows(tmp_path / "a.jsonl", [pair(n, prompt=f"only a knows this {n}") for n in range(20)])
    write_rows(tmp_path / "b.jsonl", [pair(n) for n in range(20)])
    ingest(config).close()
    (tmp_path / "a.jsonl").unlink()
    folder = tmp_path / ".curate" / "lake" / "data" / "main" / "prompts"
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({"text": ["only a knows this 7"] * 9}), tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "whole").unlink()
    torn = [folder / f"curate-{digit * 32}.parquet" for digit in "0123"]  # as a killed run leaves them
    for path, size in zip(torn, (0, 4, 9, len(whole) - 3), strict=True):
        path.write_bytes(whole[:size])
    with Lake.open(config.location) as lake:
        forget_target(lake, config, find_source(lake, "a.jsonl"), erase=True)
        assert not any(path.exists() for path in torn)
        assert check_lake(config.location).findings == []
    foreign = folder / "mine.parquet"
    foreign.write_bytes(whole[:-3])
    with Lake.open(config.location) as lake:
        with pytest.raises(CurateError, match=r"mine\.parquet cannot be read, so whether .* cannot be told"):
            forget_target(lake, config, find_source(lake, "b.jsonl"), erase=True)
        foreign.unlink()
        finish_killed_runs(lake, config)
        assert lake.value("SELECT count(*) FROM prompts") == 0


LABELS = ("preferences", "rankings", "graphs", "annotators", "assessments")

PROGRAM = """
import sys
from pathlib import Path
from curate.config.project import load_config
from curate.lake.lake import Lake
from curate.pipeline.forgetting import find_source, forget_target
config = load_config(Path(sys.argv[1]))
with Lake.open(config.location) as lake:
    target = find_source(lake, "a.jsonl")
    print("open", flush=True)
    forget_target(lake, config, target, erase=True)
"""


@pytest.mark.e2e
def test_a_killed_forget_is_taken_up_by_the_next(tmp_path: Path) -> None:
    home = tmp_path / "whole"
    config = write_project(home, trl("a.jsonl"), trl("b.jsonl"))
    write_rows(home / "a.jsonl", [pair(n, prompt=f"This is the forgotten question {n}") for n in range(3000)])
    write_rows(home / "b.jsonl", [pair(n) for n in range(50)])
    ingest(config).close()
    kills = 0
    for delay in (0.1, 0.4, 0.8, 1.6):
        shutil.copytree(home, tmp_path / f"after-{delay}")
        config = write_project(tmp_path / f"after-{delay}", trl("b.jsonl"))
        (tmp_path / f"after-{delay}" / "a.jsonl").unlink()
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / f"after-{delay}" / "curate.yaml")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with Lake.open(config.location) as lake:
            if (
                lake.value("SELECT count(*) FROM prompts") > 50
            ):  # killed before the removal: nothing has happened
                assert finish_killed_runs(lake, config) == []
                forget_target(lake, config, find_source(lake, "a.jsonl"), erase=True)
            else:
                finish_killed_runs(lake, config)
            assert lake.value("SELECT count(*) FROM prompts") == 50
            assert check_lake(config.location).findings == []
            (receipt,) = (tmp_path / f"after-{delay}" / ".curate" / "forgotten").glob("*.json")
            assert "nor in its catalog" in check_receipt(lake, read_receipt(receipt))
        assert list_holders(tmp_path / f"after-{delay}", "forgotten question 77") == []
    assert kills > 0


def test_a_forgotten_prompt_stays_out_also_of_quarantine(tmp_path: Path) -> None:
    rows = [
        {
            "id": f"q{n}",
            "prompt": f"What is the secret number {n} of us all?",
            "responses": [{"id": "x", "text": f"{n}."}, {"id": "y", "text": f"Not {n}."}],
        }
        for n in range(5)
    ]
    votes = [
        {"prompt": f"q{n}", "a": "x", "b": "y", "annotator": "v", "kind": "llm", "winner": "a"}
        for n in range(5)
    ]
    config = write_project(tmp_path, {"source": "r.jsonl"}, {"source": "v.jsonl", "kind": "judgments"})
    copy = json.dumps({**rows[3], "unknown": 1})
    write_rows(tmp_path / "r.jsonl", [*rows, copy])
    write_rows(tmp_path / "v.jsonl", votes)
    with ingest(config) as lake:
        assert lake.value("SELECT count(*) FROM quarantine") == 1
        result = forget_target(lake, config, find_prompts(lake, ["q3"]), erase=True)
        assert (result.removed["prompts"], result.removed["responses"], result.removed["judgments"]) == (
            1,
            2,
            1,
        )
        assert result.removed["quarantine"] == 1  # the copy with an unknown key
        write_rows(tmp_path / "r.jsonl", [*rows, dict(rows[0], id="q9")])
        summary = ingest_sources(lake, config)
        assert summary.counts.dropped == {"forgotten": 2}  # the prompt, and the vote about it
        assert summary.counts.rows_kept == 1
        assert lake.value("SELECT count(*) FROM prompts") == 5
        assert lake.value("SELECT count(*) FROM quarantine") == 0
        with pytest.raises(CurateError, match="no prompt 'q3'"):
            find_prompts(lake, ["q3"])
    (tmp_path / "r.jsonl").unlink()
    assert list_holders(tmp_path, "secret number 3") == []


def write_votes(home: Path) -> None:
    write_rows(
        home / "r.jsonl",
        [
            {
                "id": f"q{n}",
                "prompt": f"What is {n}?",
                "responses": [{"id": "x", "text": f"{n}."}, {"id": "y", "text": "No."}],
            }
            for n in range(3)
        ],
    )
    write_rows(
        home / "v.jsonl",
        [
            {
                "prompt": f"q{n}",
                "a": "x",
                "b": "y",
                "annotator": who,
                "kind": "human",
                "winner": "a",
                "rationale": f"I, {who}, think so",
            }
            for n in range(3)
            for who in ("ada@example.org", "W17")
        ],
    )


@pytest.mark.parametrize("anonymise", [False, True])
def test_a_person_is_forgotten_or_made_nobody(tmp_path: Path, *, anonymise: bool) -> None:
    config = write_project(tmp_path, {"source": "r.jsonl"}, {"source": "v.jsonl", "kind": "judgments"})
    write_votes(tmp_path)
    with ingest(config) as lake:
        pseudonym = Pseudonyms.open(config).of("ada@example.org")
        old_ids = {
            row[0]
            for row in lake.rows("SELECT judgment_id FROM judgments WHERE annotator_id = ?", [pseudonym])
        }
        target = find_person(lake, config, "Ada@example.org ", anonymise=anonymise)
        result = forget_target(lake, config, target, erase=True)
        assert result.removed["judgments"] == 3
        rows = lake.rows(
            "SELECT judgment_id, annotator_id, rationale, outcome FROM judgments WHERE annotator_id <> 'W17'"
        )
        assert len(rows) == (3 if anonymise else 0)
        assert all(
            row[0] not in old_ids and row[1].startswith("anonymous-") and row[2] is None for row in rows
        )
        assert check_lake(config.location).findings == []
        (tmp_path / "v.jsonl").write_text(
            (tmp_path / "v.jsonl").read_text() + "\n"
        )  # read again, as it has changed
        assert ingest_sources(lake, config).counts.dropped["forgotten"] == 3
        assert lake.value("SELECT count(*) FROM judgments") == 3 + len(rows)
    (tmp_path / "v.jsonl").unlink()
    assert list_holders(tmp_path, pseudonym) == []
    assert list_holders(tmp_path, "think so") != []  # of the other person
    assert list_holders(tmp_path, "I, ada@") == []


def test_the_command_asks_and_tells_what_was_made_of_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_project(tmp_path, trl("a.jsonl"), export=[{"path": "out", "format": "parquet"}])
    write_rows(tmp_path / "a.jsonl", [pair(n) for n in range(5)])
    ingest(config).close()
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    assert run(app, ["export"]).exit_code == 0
    refused = run(app, ["forget", "source", "a.jsonl"])
    assert isinstance(refused.exception, CurateError)
    assert "--yes" in str(refused.exception)
    planned = run(app, ["forget", "source", "a.jsonl", "--dry-run"]).output
    assert "prompts: 5 rows" in planned
    assert "export out was made of snapshot" in planned
    assert run(app, ["forget", "source", "a.jsonl", "--yes"]).exit_code == 0
    assert "have been forgotten" in (tmp_path / "out" / "README.md").read_text()
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["forgotten"] == ["source a.jsonl"]
    status = json.loads(run(app, ["status", "--json"]).stdout)
    assert [row["name"] for row in status["forgotten"]] == ["out"]
    (receipt,) = (tmp_path / ".curate" / "forgotten").glob("*.json")
    assert "its history was not erased" in run(app, ["forget", "--check", str(receipt)]).output


def test_labels_go_with_their_judgments_and_come_as_if_these_had_never_been(tmp_path: Path) -> None:
    expected: dict[str, list[Any]] = {}
    for name, files in (("one", ("b.jsonl",)), ("both", ("a.jsonl", "b.jsonl"))):
        home = tmp_path / name
        config = write_project(home, *map(trl, files))
        write_rows(home / "a.jsonl", [pair(n, chosen="No.", rejected="Yes, of course.") for n in range(10)])
        write_rows(home / "b.jsonl", [pair(n) for n in range(5, 15)])
        with ingest(config) as lake:
            aggregate_judgments(lake, config)
            if name == "one":
                expected = read_tables(lake, LABELS)
                continue
            assert read_tables(lake, LABELS) != expected
            config = write_project(home, trl("b.jsonl"))
            forget_target(lake, config, find_source(lake, "a.jsonl"))
            assert all(not rows for rows in read_tables(lake, LABELS).values())
            assert not aggregate_judgments(lake, config).skipped
            assert read_tables(lake, LABELS) == expected


def test_people_who_are_forgotten_leave_the_guarantees_memory(lake: Lake, tmp_path: Path) -> None:
    prompts = [make_prompt(number) for number in range(2)]
    responses = [make_response(prompt, number) for prompt in prompts for number in range(2)]
    rng = random.Random(0)
    pairs = [
        sorted(responses[:2], key=lambda r: r.response_id),
        sorted(responses[2:], key=lambda r: r.response_id),
    ]
    verdicts = [
        judge_pair(*two, annotator=who, shown="ab", accuracy=1.0, rng=rng)
        for two, who in zip(pairs, ("person-a", "person-b"), strict=True)
    ]
    names = [
        {"prompt_id": a.prompt_id, "response_a": a.response_id, "response_b": b.response_id} for a, b in pairs
    ]
    stamp: dict[str, Any] = {"iteration": 0, "run_id": "test", "revision": 1}
    test: dict[str, Any] = {
        "identity": "x",
        "share": 1.0,
        "wealth": 1.0,
        "remains": 0.5,
        "lead": 1.0,
        "looks": 2,
        "learnt": 0,
        "tested": 2,
        "errors": 1,
        "holds": False,
    }
    uses: list[Record] = [
        LabelUse(**name, use="test", agrees=-1, place=place, **stamp) for place, name in enumerate(names)
    ]
    tested: list[Record] = [
        TestedLabel(**name, direction=1, p_a=0.9, stratum="all", **stamp) for name in names
    ]
    with lake.write("test") as writer:
        writer.append("prompts", table(prompts))
        writer.append("responses", table(responses))
        writer.append("judgments", table(verdicts))
        writer.append("guarantee_tests", table([GuaranteeTest(**test, **stamp)]))
        writer.append("label_uses", table(uses))
        writer.append("tested_labels", table(tested))
    config = write_project(tmp_path)
    forget_target(lake, config, find_person(lake, config, "person-a"))
    assert lake.rows("SELECT agrees FROM label_uses ORDER BY place") == [
        (0,),
        (-1,),
    ]  # spent, and says nothing
    assert lake.value("SELECT identity FROM guarantee_tests") == ""  # the revision has retired
    forget_target(lake, config, find_prompts(lake, [prompts[1].prompt_id]))
    assert (
        lake.value("SELECT count(*) FROM label_uses") == lake.value("SELECT count(*) FROM tested_labels") == 1
    )


def test_statements_that_stay_are_numbered_as_if_the_others_had_never_been(tmp_path: Path) -> None:
    config = write_project(tmp_path, trl("a.jsonl", annotator="same"), trl("b.jsonl", annotator="same"))
    turned = pair(1, chosen=pair(1)["rejected"], rejected=pair(1)["chosen"])
    write_rows(tmp_path / "a.jsonl", [pair(1)])
    write_rows(tmp_path / "b.jsonl", [turned])
    with ingest(config) as lake:
        assert lake.rows("SELECT sample FROM judgments ORDER BY 1") == [(0,), (1,)]
        config = write_project(tmp_path, trl("b.jsonl", annotator="same"))
        forget_target(lake, config, find_source(lake, "a.jsonl"))
        assert lake.rows("SELECT sample, part FROM judgments") == [(0, "b.jsonl")]
        write_rows(tmp_path / "b.jsonl", [turned, pair(2)])
        counts = ingest_sources(lake, config).counts
        assert (counts.rows_kept, counts.rows_duplicate) == (1, 1)
        assert check_lake(config.location).findings == []
