"""Aspects from ratings and people to labels, training rows, filters and the report, through the commands."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.cli.app import app
from curate.config.project import load_config
from curate.core.errors import CurateError
from curate.data.preference_pairs import read_pairs
from curate.lake.lake import Lake

ASPECTS = {"honest": (1, 2, 3), "brief": (3, 2, 1), "candid": (2, 3, 4)}
"""Ratings of the responses 0, 1, 2 in each aspect; as a whole the higher number is better."""

CONFIG = """
ingest:
  - {source: responses.jsonl}
  - {source: ratings.jsonl, kind: ratings}
aggregate: {aspects: all}
export:
  - {path: out, format: {kind: trl-preference, aspects: [honest, brief, polite]}, routed: true}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """24 prompts with three responses, rated as a whole and in three aspects by two annotators."""
    responses, ratings = [], []
    for number in range(24):
        answers = [{"id": f"q{number}-{k}", "text": f"Answer {k} to {number}"} for k in range(3)]
        responses.append({"id": f"q{number}", "prompt": f"Question {number}?", "responses": answers})
        for annotator in ("gpt", "llama"):
            for k in range(3):
                row = {
                    "prompt": f"q{number}",
                    "response": f"q{number}-{k}",
                    "annotator": annotator,
                    "kind": "llm",
                }
                ratings.append(row | {"score": k})
                ratings += [row | {"score": ASPECTS[name][k], "aspect": name} for name in ASPECTS]
    for name, rows in (("responses", responses), ("ratings", ratings)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "curate.yaml").write_text(CONFIG, encoding="utf-8")
    call(tmp_path, "ingest")
    return tmp_path


def call(project: Path, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "-c", str(project / "curate.yaml")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def open_lake(project: Path) -> Lake:
    return Lake.open(load_config(project / "curate.yaml").location, read_only=True)


def set_config(project: Path, text: str) -> None:
    (project / "curate.yaml").write_text(text, encoding="utf-8")


def test_each_aspect_has_labels_of_its_own(project: Path) -> None:
    printed = call(project, "aggregate")
    assert "aspect brief: 72 pairs, 0 ties, 0% of them as the label of the pair" in printed
    assert "aspect honest: 72 pairs, 0 ties, 100% of them as the label of the pair" in printed
    with open_lake(project) as lake:
        names = "regexp_extract(a.key, '-(.)', 1) AS a, regexp_extract(b.key, '-(.)', 1) AS b"
        joined = "JOIN responses AS a ON a.response_id = response_a JOIN responses AS b ON b.response_id = response_b"
        for table, better_is_higher in (("aspect_preferences WHERE aspect = 'honest'", True),
                                        ("aspect_preferences WHERE aspect = 'brief'", False),
                                        ("preferences", True)):  # fmt: skip
            rows = lake.rows(f"SELECT {names}, outcome FROM (FROM {table}) {joined}")
            assert len(rows) == 72
            assert all((outcome == "a") == ((a > b) == better_is_higher) for a, b, outcome in rows)
        ranks = lake.rows(
            "SELECT DISTINCT key[-1:], rank FROM aspect_rankings JOIN responses USING (response_id) "
            "WHERE aspect = 'brief' ORDER BY 1"
        )
        assert ranks == [("0", 1), ("1", 2), ("2", 3)]
    assert "nothing to do" in call(project, "aggregate")
    set_config(project, CONFIG.replace("aspects: all", "aspects: [brief]"))
    call(project, "aggregate")
    with open_lake(project) as lake:
        assert lake.rows("SELECT DISTINCT aspect FROM aspect_preferences") == [("brief",)]
    set_config(project, CONFIG.replace("aspects: all", "aspects: [kind]"))
    with pytest.raises(
        CurateError, match=r"names 'kind', but no judgment is about it; the lake has brief, candid, honest"
    ):
        call(project, "aggregate")


def test_people_answer_about_one_aspect(project: Path) -> None:
    call(project, "aggregate")
    planned = call(project, "verify", "plan", "--aspect", "polite", "--budget", "72")
    assert "72 questions planned" in planned
    sheet = project / "ada.csv"
    call(project, "verify", "export-csv", str(sheet), "--annotator", "Ada")
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["question"].startswith("Judge this alone: polite.") for row in rows)
    with sheet.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(
            row | {"verdict": "first" if row["first"] < row["second"] else "second"} for row in rows
        )
    assert "72 answers taken in" in call(project, "verify", "import-csv", str(sheet), "--annotator", "Ada")
    assert "nothing more to plan" in call(project, "verify", "plan", "--aspect", "polite", "--budget", "5")
    assert "aspect polite: 72 pairs, 0 ties, 0% of them" in call(project, "aggregate")
    with open_lake(project) as lake:
        assert lake.value("SELECT count(*) FROM preferences WHERE status = 'verified'") == 0
        assert lake.value("SELECT count(*) FROM aspect_preferences WHERE status = 'verified'") == 72
    call(project, "export")
    pairs = read_pairs(project / "out")
    assert len(pairs) == 72
    assert {name: sorted({round(p) for p in values}) for name, values in pairs.aspects.items()} == {
        "honest": [1],
        "brief": [0],
        "polite": [0],
    }


def test_pairs_whose_aspects_contradict_the_whole_are_left_out(project: Path) -> None:
    filters = "filter: [{kind: aspect-consistency, least: 2, aspects: {brief: 2.0, candid: 1.0}}]\n"
    set_config(project, CONFIG + filters)
    call(project, "aggregate")
    assert "aspect-consistency 72" in call(project, "filter")
    with pytest.raises(CurateError, match="filter aspect-consistency: 72"):
        call(project, "export")
    assert "nothing to do" in call(project, "filter")
    set_config(
        project, CONFIG + filters.replace("brief: 2.0", "brief: 1.0")
    )  # one against one is no majority
    call(project, "filter")
    call(project, "export")
    assert len(read_pairs(project / "out")) == 72


def test_the_report_shows_aspects_that_say_the_same(project: Path) -> None:
    call(project, "aggregate")
    call(project, "report", "-o", str(project / "report.html"))
    page = " ".join((project / "report.html").read_text(encoding="utf-8").split())
    assert "Judgments are about 3 aspects" in page
    assert "<b>candid</b> and <b>honest</b> say the same" in page
    assert "<b>brief</b> and" not in page
