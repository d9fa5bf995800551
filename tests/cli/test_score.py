"""`curate score` and `curate best-of-n`, run as users run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.core.errors import CurateError
from curate.data.conversation import text_answer, text_message
from curate.pipeline.score_file import ScoringOptions, write_scored_file
from curate.reward.scorer import PromptResponses, open_reward_model
from curate.reward.transforms import RewardTransform, penalise_uncertainty
from tests.conftest import MakeModel

pytestmark = pytest.mark.e2e
ROWS: list[Any] = [
    {"prompt": "Why?", "chosen": "Because.", "rejected": "No.", "id": 7},
    {
        "prompt": [{"role": "user", "content": "Why?"}],
        "responses": ["A", {"text": "B", "model": "m"}, "the fox"],
    },
    {"prompt": "And now?", "response": "the lazy dog"},
    {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]},
    {"prompt": "neither"},
    [1],
]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from curate.cli.app import main; main()", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environment, timeout=600, check=False
    )


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def score(model: Path, prompt: str, *answers: str) -> list[float]:
    request = PromptResponses((text_message("user", prompt),), tuple(map(text_answer, answers)))
    return [float(value) for value in open_reward_model(str(model), folder=Path()).score([request])[0]]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return file


def test_scores_stand_beside_the_rows(make_model: MakeModel, rows: Path) -> None:
    model = make_model(head="reward")
    done = run(rows.parent, "score", "rows.jsonl", "--model", str(model), "--batch", "2")
    assert done.returncode == 0, done.stderr
    assert "6 rows, 7 responses scored; 2 without a score" in done.stdout
    pair, several, single, chat, neither, no_object = read(rows.parent / "rows.scored.jsonl")
    assert (pair["id"], pair["chosen"]) == (7, "Because.")
    wanted = score(model, "Why?", "Because.", "No.")
    assert [pair["score_chosen"], pair["score_rejected"]] == pytest.approx(wanted, abs=1e-4)
    assert several["scores"] == pytest.approx(score(model, "Why?", "A", "B", "the fox"), abs=1e-4)
    assert several["responses"] == ROWS[1]["responses"]
    assert single["score"] == pytest.approx(score(model, "And now?", "the lazy dog")[0], abs=1e-4)
    assert chat["score"] == pytest.approx(wanted[0], abs=1e-4)
    assert "neither `chosen`" in neither["score_error"]
    assert no_object == {"row": [1], "score_error": "the row is no JSON object"}
    again = run(rows.parent, "score", "rows.jsonl", "--model", str(model))
    assert again.returncode == 1
    assert "exists already" in again.stderr


def test_a_stopped_run_goes_on_and_gives_the_same_file(
    make_model: MakeModel, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curate.pipeline import score_file

    options = ScoringOptions(models=[str(make_model(head="reward"))], batch=2)
    whole, resumed = rows.with_name("whole.jsonl"), rows.with_name("resumed.jsonl")
    write_scored_file(rows, whole, options)
    calls: list[int] = []
    score_rows = score_file.score_rows

    def fail_at_last(scorers: Any, batch: Any) -> Any:
        calls.append(len(batch))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return score_rows(scorers, batch)

    monkeypatch.setattr(score_file, "score_rows", fail_at_last)
    with pytest.raises(KeyboardInterrupt):
        write_scored_file(rows, resumed, options)
    assert not resumed.exists()
    part = rows.with_name("resumed.jsonl.part")
    part.write_bytes(part.read_bytes() + b'{"half a li')  # as a killed process leaves it
    summary = write_scored_file(rows, resumed, options)
    assert (summary.rows, summary.resumed, calls) == (6, 4, [2, 2, 2, 2])
    assert resumed.read_bytes() == whole.read_bytes()
    assert not part.exists()


def test_the_best_of_n(make_model: MakeModel, rows: Path) -> None:
    model = make_model(head="reward")
    done = run(rows.parent, "best-of-n", "rows.jsonl", "-m", str(model), "-o", "best.jsonl")
    assert done.returncode == 0, done.stderr
    several = read(rows.parent / "best.jsonl")[1]
    scores = score(model, "Why?", "A", "B", "the fox")
    assert several["response"] == ROWS[1]["responses"][int(np.argmax(scores))]
    assert (several["n"], several["best"]) == (3, int(np.argmax(scores)))
    assert read(rows.parent / "best.jsonl")[0]["score_error"] == "the row has no `responses` to choose among"


def test_transforms_are_those_of_their_sources() -> None:
    scores = np.array([1.0, 3.0, np.nan, 2.0])
    assert RewardTransform("centre").apply(scores) == pytest.approx([-1, 1, np.nan, 0], nan_ok=True)
    spread = np.sqrt(2 / 3)
    assert RewardTransform("normalise").apply(scores) == pytest.approx(
        [-1 / spread, 1 / spread, np.nan, 0], nan_ok=True
    )
    assert RewardTransform("normalise").apply(np.array([2.0, 2.0])).tolist() == [0.0, 0.0]
    assert RewardTransform("none", 1.5).apply(scores) == pytest.approx([1, 1.5, np.nan, 1.5], nan_ok=True)
    references = np.array([0.0, 1.0])
    expected = [np.mean([1 / (1 + np.exp(-(value - other))) for other in references]) for value in (1.0, 3.0)]
    assert RewardTransform("par").apply(np.array([1.0, 3.0]), references) == pytest.approx(expected)
    assert RewardTransform("par").apply(np.array([5.0, -900.0])) == pytest.approx([1.0, 0.0])
    with pytest.raises(CurateError, match="only one"):
        RewardTransform("centre").apply(np.array([1.0]))
    by_model = np.array([[1.0, 2.0], [3.0, 2.0]])
    assert penalise_uncertainty(by_model, 0.5) == pytest.approx([2 - 0.5 * 1.0, 2.0])
    with pytest.raises(CurateError, match="second --model"):
        penalise_uncertainty(by_model[:1], 0.5)


def test_rewards_keep_the_raw_scores_beside_them(make_model: MakeModel, rows: Path) -> None:
    model = make_model(head="reward")
    rows.write_text(json.dumps(ROWS[0] | {"references": ["A", "B"]}) + "\n", encoding="utf-8")
    done = run(rows.parent, "score", "rows.jsonl", "-m", str(model), "--transform", "par")
    assert done.returncode == 0, done.stderr
    (pair,) = read(rows.parent / "rows.scored.jsonl")
    raw, references = np.split(np.array(score(model, "Why?", "Because.", "No.", "A", "B")), [2])
    assert pair["raw_scores"] == pytest.approx(raw.tolist(), abs=1e-4)
    wanted = [np.mean(1 / (1 + np.exp(references - value))) for value in raw]
    assert [pair["score_chosen"], pair["score_rejected"]] == pytest.approx(wanted, abs=1e-4)


def test_a_row_that_cannot_be_rewarded_stops_no_other(make_model: MakeModel, rows: Path) -> None:
    model = make_model(head="reward")
    odd = [ROWS[1], {"prompt": "Alone?", "responses": ["A"]}, {"prompt": "None?", "responses": []}, ROWS[0]]
    rows.write_text("".join(json.dumps(row) + "\n" for row in odd), encoding="utf-8")
    done = run(rows.parent, "score", "rows.jsonl", "-m", str(model), "--transform", "centre")
    assert done.returncode == 0, done.stderr
    assert "4 rows, 5 responses scored; 2 without a score" in done.stdout
    several, alone, none, pair = read(rows.parent / "rows.scored.jsonl")
    assert sum(several["scores"]) == pytest.approx(0.0, abs=1e-5)
    assert "there is only one" in alone["score_error"]
    assert "scores" not in alone
    assert none["score_error"] == "`responses` is empty: there is nothing to score."
    assert pair["score_chosen"] == pytest.approx(-pair["score_rejected"], abs=1e-5)
    done = run(rows.parent, "best-of-n", "rows.jsonl", "-m", str(model))
    assert (
        "4 rows, 6 responses scored; 2 without a score" in done.stdout
    )  # the pair has nothing to choose from
