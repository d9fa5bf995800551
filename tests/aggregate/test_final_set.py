"""The final label set: the panel's, unless people or left-out judges show that the trained model adds something."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from curate.aggregate import aggregate_judgments
from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.export import write_export
from curate.lake.lake import Lake
from curate.lake.runs import StageRun
from curate.records import Response
from tests.conftest import judge_pair, make_prompt, make_response, table

CONFIG = Config.model_validate({"train": {"path": "models/reward"}})
PROMPTS = 150
Pair = tuple[Response, Response]


def write_panel(lake: Lake) -> list[Pair]:
    """Three judges who are right in three of five pairs."""
    rng = random.Random(0)
    prompts = [make_prompt(number) for number in range(PROMPTS)]
    pairs = [(make_response(prompt, 0), make_response(prompt, 1)) for prompt in prompts]
    judgments = [
        judge_pair(*pair, annotator=f"judge-{number}", shown=shown, accuracy=0.6, rng=rng)
        for pair in pairs
        for number in range(3)
        for shown in ("ab", "ba")
    ]
    with lake.write("fill") as writer:
        writer.append("prompts", table(list(prompts)))
        writer.append("responses", table([response for pair in pairs for response in pair]))
        writer.append("judgments", table(list(judgments)))
    return pairs


def add_model(lake: Lake, pairs: list[Pair], accuracy: float) -> None:
    """The trained model's judgments, with the record that makes its revision the one that counts."""
    rng = random.Random(1)
    said = [
        judge_pair(*pair, annotator="reward-model", shown="ab", accuracy=accuracy, rng=rng) for pair in pairs
    ]
    said = [row.model_copy(update={"kind": "reward-model", "revision": "r", "shown": None}) for row in said]
    run = StageRun(lake, "judge", config_hash="")
    with run.chunk("reward-model", fingerprint="f", status="done") as (writer, counts):
        writer.append("judgments", table(list(said)))
        counts.details = {"revision": "r"}


def add_people(lake: Lake, pairs: list[Pair]) -> None:
    rng = random.Random(2)
    said = [judge_pair(*pair, annotator="person", shown="ab", accuracy=1.0, rng=rng) for pair in pairs]
    with lake.write("label") as writer:
        writer.append("judgments", table(list(said)))


def final(lake: Lake) -> tuple[int, str]:
    ((iteration, reason),) = lake.rows("SELECT iteration, final_reason FROM assessments WHERE is_final")
    assert lake.value("SELECT DISTINCT iteration FROM final_preferences") == iteration
    return int(iteration), str(reason)


@pytest.mark.parametrize(("accuracy", "iteration"), [(1.0, 1), (0.5, 0)])
def test_people_decide(lake: Lake, accuracy: float, iteration: int) -> None:
    pairs = write_panel(lake)
    add_people(lake, pairs[:80])
    assert "final labels" not in aggregate_judgments(lake, CONFIG).note
    assert final(lake)[0] == 0
    add_model(lake, pairs, accuracy)
    note = aggregate_judgments(lake, CONFIG).note
    assert f"final labels: iteration-{iteration}, the panel's" in note
    assert "pairs that people judged, the trained model puts" in note
    assert final(lake)[0] == iteration
    assert aggregate_judgments(lake, CONFIG).skipped


@pytest.mark.parametrize(("accuracy", "iteration"), [(0.95, 1), (0.5, 0)])
def test_without_people_left_out_judges_decide_and_exports_follow(
    lake: Lake, tmp_path: Path, accuracy: float, iteration: int
) -> None:
    pairs = write_panel(lake)
    add_model(lake, pairs, accuracy)
    aggregate_judgments(lake, CONFIG)
    found, reason = final(lake)
    assert found == iteration
    assert "nats a vote" in reason
    export = write_export(lake, CONFIG, ExportEntry(path=str(tmp_path / "out"), format="trl-preference"))
    assert f'"iteration": {iteration}' in (export.path / "manifest.json").read_text(encoding="utf-8")


def test_a_run_that_was_killed_before_the_choice_makes_it_later(lake: Lake) -> None:
    pairs = write_panel(lake)
    add_model(lake, pairs, 0.5)
    aggregate_judgments(lake, CONFIG)
    lake.rows("UPDATE lake.assessments SET is_final = NULL, final_reason = NULL")
    aggregate_judgments(lake, CONFIG)
    assert final(lake)[0] == 0
