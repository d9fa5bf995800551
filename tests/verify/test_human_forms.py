"""Every form through the commands: planned, answered in a spreadsheet, taken in, counted, and not asked again."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from curate.aggregate import aggregate_judgments
from curate.cli.app import app
from curate.config.project import Config, load_config
from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.stats.reliability import measure_quality

RUBRIC = """
name: right-answers
about: What an answer to a sum should be.
criteria:
- {name: correct, text: The number is right., kind: hard, weight: 2.0, reason: A sum has one answer.}
- {name: brief, text: The response explains nothing.}
- {name: chatty, text: The response offers explanations., weight: -1.0}
- {name: characters, text: The response is long., kind: feature, feature: characters}
"""


@pytest.fixture
def project(sample_lake: Lake, tmp_path: Path) -> Path:
    """A project around the sample lake, whose responses are better the lower the number of their model."""
    aggregate_judgments(sample_lake, Config())
    sample_lake.close()
    (tmp_path / "right.yaml").write_text(RUBRIC, encoding="utf-8")
    (tmp_path / "curate.yaml").write_text("workspace: .\nverify: {rubric: right.yaml}\n", encoding="utf-8")
    return tmp_path


def call(project: Path, *words: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, [*words, "-c", str(project / "curate.yaml")], catch_exceptions=False)
    assert result.exit_code == status, result.output
    return " ".join(result.output.split())


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def answer_sheet(project: Path, person: str, answer: Callable[[dict[str, str]], dict[str, str]]) -> str:
    """Export what a person is asked, answer it row by row, and take it in."""
    sheet = project / f"{person}.csv"
    call(project, "verify", "export-csv", str(sheet), "--annotator", person, "--force")
    rows = read_rows(sheet)
    with sheet.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["task_id"])
        writer.writeheader()
        writer.writerows(row | answer(row) for row in rows)
    return call(project, "verify", "import-csv", str(sheet), "--annotator", person)


def open_lake(project: Path) -> Lake:
    return Lake.open(load_config(project / "curate.yaml").location, read_only=True)


def rate(text: str) -> int:
    """The model's number: the sample's responses explain once for each step that they are worse."""
    return text.count("Let me explain.")


def pass_best(row: dict[str, str]) -> dict[str, str]:
    return {"verdict": "pass" if rate(row["first"]) < 2 else "fail", "seconds": "4"}


def check_rubric(row: dict[str, str]) -> dict[str, str]:
    assert row["criteria"].splitlines() == [
        "1. The number is right.",
        "2. The response explains nothing.",
        "3. The response offers explanations.",
    ]
    return {"verdict": {0: "1 2", 1: "1,3"}.get(rate(row["first"]), "3")}


def criticise(row: dict[str, str]) -> dict[str, str]:
    spans = "" if rate(row["first"]) == 0 else "wrong: Let me explain.\ngood: The answer"
    return pass_best(row) | {"rationale": "It explains too much.", "spans": spans}


def rank(row: dict[str, str]) -> dict[str, str]:
    names = [name for name in row if name in ("first", "second") or name.startswith("response ")]
    order = sorted(range(len(names)), key=lambda number: rate(row[names[number]]))
    return {"verdict": " ".join(str(number + 1) for number in order)}


def compare(row: dict[str, str]) -> dict[str, str]:
    first, second = rate(row["first"]), rate(row["second"])
    if first > 1 and second > 1:
        return {"verdict": "both bad"}
    return {
        "verdict": ("first" if first < second else "second") + (" much" if abs(first - second) > 1 else "")
    }


@pytest.mark.parametrize(
    ("form", "answer", "budget", "decided"),
    [
        ("pairwise", compare, 72, 60),
        ("ranking", rank, 12, 72),
        ("pass-fail", pass_best, 48, 48),
        ("rubric", check_rubric, 48, 60),
        ("critique", criticise, 48, 48),
    ],
)
def test_each_form_is_planned_answered_and_counted(
    project: Path, form: str, answer: Callable[[dict[str, str]], dict[str, str]], budget: int, decided: int
) -> None:
    planned = call(project, "verify", "plan", "--form", form, "--budget", "500")
    assert f"{budget} questions planned" in planned
    assert f"{budget} wait for an answer" in planned
    assert f"{budget} answers taken in" in answer_sheet(project, "Ada", answer)
    assert "nothing more to plan; 0 wait" in call(project, "verify", "plan", "--form", form, "--budget", "3")
    assert "0 questions written" in call(
        project, "verify", "export-csv", str(project / "more.csv"), "--annotator", "Ada"
    )
    call(project, "aggregate")
    with open_lake(project) as lake:
        stored = lake.arrow("SELECT * FROM human_judgments").to_pylist()
        assert {row["asked_as"] for row in stored} == {form}
        labels = lake.rows(
            "SELECT a.model, b.model, outcome FROM preferences JOIN responses AS a ON a.response_id = response_a "
            "JOIN responses AS b ON b.response_id = response_b WHERE status = 'verified' AND outcome <> 'tie'"
        )
        assert len(labels) == decided
        assert all(outcome == ("a" if a < b else "b") for a, b, outcome in labels)
    check_details(form, stored)


def check_details(form: str, stored: list[dict[str, Any]]) -> None:
    """What a form keeps beside the verdict stands where it is documented to stand."""
    if form == "pairwise":
        ties = [row for row in stored if row["outcome"] == "tie"]
        assert len(ties) == 12
        assert {row["tied_as"] for row in ties} == {"both-bad"}
        assert {row["score"] for row in stored} == {None, 3.0, -3.0}
    if form == "critique":
        spans = [span for row in stored for span in json.loads(row["raw"]).get("spans", [])]
        assert len(spans) == 72
        assert {(span["text"], span["label"]) for span in spans} == {
            ("Let me explain.", "wrong"),
            ("The answer", "good"),
        }
        assert all(span["end"] - span["start"] == len(span["text"]) for span in spans)
        assert {row["rationale"] for row in stored} == {"It explains too much."}


def test_answers_about_criteria_are_verdicts_of_their_own(project: Path) -> None:
    call(project, "verify", "plan", "--form", "rubric", "--budget", "48")
    answer_sheet(project, "Ada", check_rubric)
    with open_lake(project) as lake:
        scores = {score for (score,) in lake.rows("SELECT DISTINCT score FROM human_judgments")}
        assert scores == {0.75, 0.25, -0.25}  # of the weights 2, 1 and -1
        counts = dict(
            lake.rows(
                "SELECT criterion, count(*) FROM criterion_verdicts WHERE outcome = 'satisfied' GROUP BY 1"
            )
        )
        assert counts == {
            "The number is right.": 24,
            "The response explains nothing.": 12,
            "The response offers explanations.": 36,
        }
        assert lake.value("SELECT count(*) FROM criterion_verdicts WHERE kind = 'human'") == 144
    sheet = project / "Ada.csv"
    rows = read_rows(sheet)
    with sheet.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerow(rows[0] | {"verdict": "none"})
        writer.writerow(rows[1] | {"verdict": "skip"})
        writer.writerows(row | {"verdict": check_rubric(row)["verdict"]} for row in rows[2:])
    assert "2 answers taken in, 46 known already" in call(
        project, "verify", "import-csv", str(sheet), "--annotator", "Ada"
    )
    with open_lake(project) as lake:  # the skipped one has none any more, the changed one its new ones
        assert lake.value("SELECT count(*) FROM criterion_verdicts") == 141
    (project / "right.yaml").write_text(RUBRIC.replace("is right", "is wrong"), encoding="utf-8")
    answer = CliRunner().invoke(
        app, ["verify", "import-csv", str(sheet), "--annotator", "Ada", "-c", str(project / "curate.yaml")]
    )
    assert answer.exit_code == 1
    assert "the criteria are no longer those that were asked about" in answer.output


def test_two_passes_are_no_tie(project: Path) -> None:
    """Ada passes two of four responses: of these two, and of the two that fail, she says nothing."""
    call(project, "verify", "plan", "--form", "pass-fail", "--budget", "48")
    answer_sheet(project, "Ada", pass_best)
    with open_lake(project) as lake:
        assert lake.value("SELECT count(*) FROM human_statements WHERE outcome = 'tie'") == 0
        assert lake.value("SELECT count(*) FROM human_statements") == 48
    call(project, "aggregate")
    call(project, "verify", "plan", "--form", "pairwise", "--budget", "72")
    with open_lake(project) as lake:
        waiting = lake.frame(read_query("verify_waiting"))
    assert waiting.filter(purpose="label", asked_as="pairwise").height == 24


def test_much_better_outweighs_slightly_better(project: Path) -> None:
    """Ada and Bob contradict each other on every pair; Ada is the surer one."""
    settings = project / "curate.yaml"
    settings.write_text(
        settings.read_text(encoding="utf-8").replace("verify: {", "verify: {overlap: 2, "), encoding="utf-8"
    )
    call(project, "verify", "plan", "--budget", "72")
    answer_sheet(project, "Ada", lambda row: {"verdict": f"{find_better(row)} much"})
    worse = {"first": "second", "second": "first"}
    answer_sheet(project, "Bob", lambda row: {"verdict": f"{worse[find_better(row)]} slightly"})
    call(project, "aggregate")
    with open_lake(project) as lake:
        labels = lake.rows(
            "SELECT a.model < b.model, outcome FROM preferences JOIN responses AS a ON a.response_id = response_a "
            "JOIN responses AS b ON b.response_id = response_b WHERE status = 'verified'"
        )
    assert len(labels) == 72
    assert all(outcome == ("a" if is_better else "b") for is_better, outcome in labels)


def find_better(row: dict[str, str]) -> str:
    return "first" if rate(row["first"]) < rate(row["second"]) else "second"


def test_a_planned_ranking_covers_its_pairs(project: Path) -> None:
    call(project, "verify", "plan", "--form", "ranking", "--budget", "5")
    assert "42 questions planned" in call(project, "verify", "plan", "--budget", "72")  # 7 prompts of 6 pairs


def test_gold_and_disputes_of_single_responses(project: Path) -> None:
    """Where Ada and Bob agree there are gold questions; where they differ somebody else decides."""
    settings = project / "curate.yaml"
    text = settings.read_text(encoding="utf-8").replace("verify: {", "verify: {overlap: 2, form: pass-fail, ")
    settings.write_text(text, encoding="utf-8")
    call(project, "verify", "plan", "--budget", "48")
    answer_sheet(project, "Ada", pass_best)
    answer_sheet(project, "Bob", lambda row: {"verdict": "pass" if rate(row["first"]) < 3 else "fail"})
    planned = call(project, "verify", "plan", "--budget", "40")
    assert "2 gold" in planned
    assert "1 repeat" in planned
    assert "10 adjudicate" in planned  # a quarter of the budget, of the 12 on which they differ
    answer_sheet(project, "Cem", pass_best)
    with open_lake(project) as lake:
        people = {person.answers: person for person in measure_quality(lake).people}
        assert (people[12].gold.right, people[12].gold.n) == (2, 2)
        purposes = lake.rows(
            "SELECT DISTINCT purpose FROM verify_tasks WHERE asked_as = 'pass-fail' ORDER BY 1"
        )
    assert [purpose for (purpose,) in purposes] == ["adjudicate", "gold", "label", "repeat"]


def test_a_rubric_that_people_cannot_answer_is_refused(project: Path) -> None:
    (project / "right.yaml").write_text(
        "name: long\ncriteria: [{name: long, text: It is long., kind: feature, feature: characters}]\n",
        encoding="utf-8",
    )
    with pytest.raises(CurateError, match="nothing but features"):
        call(project, "verify", "plan", "--form", "rubric", "--budget", "5")
    (project / "curate.yaml").write_text("workspace: .\n", encoding="utf-8")
    with pytest.raises(CurateError, match="The rubric form needs criteria"):
        call(project, "verify", "plan", "--form", "rubric", "--budget", "5")


def test_status_speaks_of_a_server_only_to_those_who_want_one(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    call(project, "verify", "plan", "--budget", "3")
    answer_sheet(project, "Ada", lambda row: {"verdict": "first"})
    status = call(project, "verify", "status")
    assert "answered, 0 skipped, 0 taken back" in status
    assert "s each" not in status  # the sheet has no times
    assert "LABEL_STUDIO_API_KEY" not in status
    file = project / "curate.yaml"
    file.write_text(
        file.read_text().replace("verify: {", "verify: {url: 'http://localhost:9', "), encoding="utf-8"
    )
    assert "LABEL_STUDIO_API_KEY is not set" in call(project, "verify", "status")
