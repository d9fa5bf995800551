"""Passed and failed responses of different prompts as pairs, from people's answers to files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.cli.app import app
from curate.config.project import load_config
from curate.core.errors import CurateError
from curate.export.formats import list_row_types
from curate.export.formats.pass_fail_pairs import PassFailPairs
from curate.lake.lake import Lake
from curate.records import Judgment
from tests.conftest import table


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """6 prompts of two categories with two responses each; nothing but answers of people."""
    rows = [
        {
            "id": f"q{number}",
            "prompt": f"Question {number}?",
            "meta": {"category": "even" if number % 2 == 0 else "odd"},
            "responses": [{"id": f"q{number}-{k}", "text": f"Answer {k} to {number}"} for k in range(2)],
        }
        for number in range(6)
    ]
    (tmp_path / "responses.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "curate.yaml").write_text("ingest: [{source: responses.jsonl}]\n", encoding="utf-8")
    call(tmp_path, "ingest")
    return tmp_path


def call(project: Path, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "-c", str(project / "curate.yaml")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def judge(project: Path, verdicts: dict[str, tuple[bool, ...]], both_bad: str | None = None) -> None:
    """Write people's passes and fails by key of the response, and one pair of which both are bad."""
    with Lake.open(load_config(project / "curate.yaml").location) as lake:
        ids = {
            key: (response, prompt)
            for key, response, prompt in lake.rows("SELECT key, response_id, prompt_id FROM responses")
        }
        rows = [
            Judgment(
                judgment_id=f"{key}-{person}", prompt_id=ids[key][1], annotator_id=f"person-{person}", kind="human",
                form="pointwise", response_a=ids[key][0], outcome="a", score=float(passes), revision="r", run_id="r",
                asked_as="pass-fail",
            )
            for key, passed in verdicts.items()
            for person, passes in enumerate(passed)
        ]  # fmt: skip
        if both_bad is not None:
            a, b = sorted(ids[f"{both_bad}-{k}"][0] for k in range(2))
            rows.append(
                Judgment(
                    judgment_id="pair", prompt_id=ids[f"{both_bad}-0"][1], annotator_id="person-9", kind="human",
                    form="pairwise", response_a=a, response_b=b, outcome="tie", tied_as="both-bad", revision="r",
                    run_id="r", asked_as="pairwise",
                )
            )  # fmt: skip
        with lake.write("people") as writer:
            writer.append("judgments", table(rows))


def export(project: Path, options: str = "") -> list[dict[str, object]]:
    import polars as pl

    form = f"{{kind: pass-fail-pairs{options}}}"
    text = f"ingest: [{{source: responses.jsonl}}]\nexport: [{{path: out, format: {form}}}]\n"
    (project / "curate.yaml").write_text(text, encoding="utf-8")
    call(project, "export")
    rows = pl.read_parquet(project / "out" / "**" / "*.parquet").to_dicts()
    row_type = list_row_types()["pass-fail-pairs"]
    for row in rows:
        row_type.model_validate(row)
    assert set(rows[0]) == set(row_type.model_fields)
    return rows


def test_what_passed_stands_beside_what_failed_elsewhere(project: Path) -> None:
    judge(
        project,
        {"q0-0": (True, True, False), "q1-0": (True,), "q2-0": (False,), "q3-1": (True, False)},
        both_bad="q4",
    )
    rows = export(project)
    assert len(rows) == 3  # as many as failed: q2-0 and both of q4
    assert {row["chosen"][-1]["content"] for row in rows} == {"Answer 0 to 0", "Answer 0 to 1"}
    assert {row["rejected"][-1]["content"] for row in rows} == {
        "Answer 0 to 2",
        "Answer 0 to 4",
        "Answer 1 to 4",
    }
    for row in rows:
        assert row["chosen"][0] == {
            "role": "user",
            "content": f"Question {row['chosen'][-1]['content'][-1]}?",
        }
        assert row["chosen_prompt_id"] != row["rejected_prompt_id"]
    assert {(row["chosen"][-1]["content"], row["chosen_people"]) for row in rows} == {
        ("Answer 0 to 0", 2),
        ("Answer 0 to 1", 1),
    }
    manifest = json.loads((project / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["counts"]["dropped"] == {"people differ": 1}


def test_groups_and_numbers_of_pairs(project: Path) -> None:
    judge(project, {"q0-0": (True,), "q1-0": (True,), "q2-0": (False,), "q4-0": (False,), "q0-1": (False,)})
    rows = export(project, ", within: category, pairs: 5")
    pairs = {(row["chosen"][-1]["content"], row["rejected"][-1]["content"]) for row in rows}
    assert pairs == {("Answer 0 to 0", "Answer 0 to 2"), ("Answer 0 to 0", "Answer 0 to 4")}
    manifest = json.loads((project / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["losses"] == {
        "without a partner of another prompt": 2
    }  # q1-0 is alone, q0-1 is of the same prompt
    assert export(project, ", pairs: 2") == export(project, ", pairs: 2")


def test_without_answers_there_is_nothing_to_write(project: Path) -> None:
    with pytest.raises(CurateError, match="none of its responses is left over"):
        export(project)


@pytest.mark.parametrize(("passed", "failed", "wanted"), [(3, 5, 5), (4, 4, 4), (4, 6, 24), (1, 1, 1)])
def test_pairs_are_different_and_use_responses_alike(passed: int, failed: int, wanted: int) -> None:
    form = PassFailPairs("pass-fail-pairs", PassFailPairs.Options(pairs=4 if wanted == 24 else 1))

    def make(side: str, number: int) -> list[dict[str, object]]:
        return [{"prompt_id": f"{side}{k}", "response": {"response_id": f"{side}{k}"}} for k in range(number)]

    pairs = [
        (one["prompt_id"], other["prompt_id"])
        for one, other in form._pair_up(make("p", passed), make("f", failed))
    ]
    assert len(pairs) == len(set(pairs)) == wanted
    for side, number in ((0, passed), (1, failed)):
        uses = [sum(pair[side] == name for pair in pairs) for name in {pair[side] for pair in pairs}]
        assert len(uses) == number
        assert max(uses) - min(uses) <= 1
