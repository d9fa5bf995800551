"""What `curate init` gives: labels that learn from people's labels as soon as there are five, and doubts said aloud."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest

from curate.aggregate import aggregate_judgments
from curate.cli.app import main
from curate.config.project import Config, load_config
from curate.lake.lake import Lake
from curate.lake.status import read_status
from curate.records import Response
from tests.conftest import judge_pair, make_prompt, make_response, table

BENCH = Path(__file__).parents[2] / "bench"
TABLES = ("preferences", "rankings", "dropped_arcs", "graphs", "annotators", "guarantees", "assessments")
PROMPTS = 120


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["curate", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def right_of(a: Response, b: Response) -> str:
    return "a" if (a.model or "") < (b.model or "") else "b"


def write_fooled_panel(lake: Lake) -> list[tuple[Response, Response]]:
    """Two responses a prompt: three judges are mostly right, and five fall for the same trick two times in three."""
    rng = random.Random(0)
    prompts = [make_prompt(number) for number in range(PROMPTS)]
    pairs, judgments = [], []
    for prompt in prompts:
        a, b = sorted((make_response(prompt, k) for k in range(2)), key=lambda response: response.response_id)
        pairs.append((a, b))
        fooled = rng.random() < 2 / 3
        for number in range(8):
            accuracy = 0.9 if number < 3 else 0.05 if fooled else 0.95
            judgments += [
                judge_pair(a, b, annotator=f"judge-{number}", shown=shown, accuracy=accuracy, rng=rng)
                for shown in ("ab", "ba")
            ]
    with lake.write("fill") as writer:
        writer.append("prompts", table(list(prompts)))
        writer.append("responses", table([response for pair in pairs for response in pair]))
        writer.append("judgments", table(list(judgments)))
    return pairs


def label(lake: Lake, pairs: list[tuple[Response, Response]]) -> None:
    said = [
        judge_pair(*pair, annotator="person", shown="ab", accuracy=1.0, rng=random.Random(0))
        for pair in pairs
    ]
    with lake.write("label") as writer:
        writer.append("judgments", table(list(said)))


def share_right(lake: Lake, pairs: list[tuple[Response, Response]]) -> float:
    said = {
        (a, b): outcome
        for a, b, outcome in lake.rows("SELECT response_a, response_b, outcome FROM preferences")
    }
    right = [said[a.response_id, b.response_id] == right_of(a, b) for a, b in pairs]
    return sum(right) / len(right)


def model_of(lake: Lake) -> str:
    """The annotator model of the newest aggregation, by its run record."""
    query = "SELECT details FROM runs WHERE stage = 'aggregate' ORDER BY snapshot_in DESC LIMIT 1"
    return str(json.loads(lake.value(query))["annotator_model"])


def content(lake: Lake) -> list[list[tuple[object, ...]]]:
    return [lake.rows(f"SELECT * EXCLUDE run_id FROM {name} ORDER BY ALL") for name in TABLES]


def test_a_few_labels_turn_a_fooled_panel_round(lake: Lake) -> None:
    pairs = write_fooled_panel(lake)
    said = aggregate_judgments(lake, Config())
    assert model_of(lake) == "majority"
    assert "holds two opinions" in said.note
    assert "majority (auto: the judges hold two opinions, and people took a side on 0 pairs" in said.note
    assert any("holds two opinions" in warning for warning in read_status(lake).warnings)
    assert share_right(lake, pairs) < 0.5
    label(lake, pairs[:30])
    said = aggregate_judgments(lake, Config())
    assert model_of(lake) == "panel"
    assert "Annotator model: panel (auto: people took a side on 30 pairs" in said.note
    assert "Annotator model: panel" in lake.value("SELECT claim FROM assessments")
    assert share_right(lake, pairs[30:]) > 0.8


def test_the_fifth_label_makes_all_labels_anew(lake: Lake, empty_lake: Path, tmp_path: Path) -> None:
    pairs = write_fooled_panel(lake)
    label(lake, pairs[:4])
    aggregate_judgments(lake, Config())
    assert model_of(lake) == "majority"
    label(lake, pairs[4:5])
    aggregate_judgments(lake, Config())
    assert model_of(lake) == "panel"
    step_by_step = content(lake)
    lake.rows("DELETE FROM lake.runs")
    for name in TABLES:
        lake.rows(f"DELETE FROM lake.{name}")
    aggregate_judgments(lake, Config())
    assert content(lake) == step_by_step


def test_ties_and_pairs_that_no_judge_saw_are_no_labels_to_learn_from(lake: Lake) -> None:
    pairs = write_fooled_panel(lake)
    label(lake, pairs[:10])
    ties = [response.response_id for pair in pairs[:6] for response in pair]
    unseen = [response.response_id for pair in pairs[6:8] for response in pair]
    lake.rows(
        "UPDATE lake.judgments SET outcome = 'tie' WHERE kind = 'human' AND list_contains(?, response_a)",
        [ties],
    )
    lake.rows("DELETE FROM lake.judgments WHERE kind <> 'human' AND list_contains(?, response_a)", [unseen])
    said = aggregate_judgments(lake, Config())
    assert model_of(lake) == "majority"
    assert "people took a side on 2 pairs" in said.note


def test_people_alone_are_counted_as_before(lake: Lake) -> None:
    pairs = write_fooled_panel(lake)
    lake.rows("DELETE FROM lake.judgments")
    label(lake, pairs)
    aggregate_judgments(lake, Config())
    assert model_of(lake) == "majority"
    assert share_right(lake, pairs) == 1.0


def test_majority_asked_for_stays_majority(lake: Lake) -> None:
    pairs = write_fooled_panel(lake)
    label(lake, pairs[:30])
    said = aggregate_judgments(lake, Config.model_validate({"aggregate": {"annotator_model": "majority"}}))
    assert model_of(lake) == "majority"
    assert "Annotator model" not in said.note
    assert share_right(lake, pairs[30:]) < 0.5


@pytest.mark.parametrize("model", ["panel", "one_coin", "two_coin"])
def test_both_orders_of_the_two_steps_use_what_was_learnt(lake: Lake, model: str) -> None:
    pairs = write_fooled_panel(lake)
    label(lake, pairs[:30])
    found = {}
    for method in ("ensemble-then-denoise", "denoise-then-ensemble"):
        aggregate_judgments(
            lake, Config.model_validate({"aggregate": {"annotator_model": model, "method": method}})
        )
        found[method] = share_right(lake, pairs[30:])
    assert abs(found["denoise-then-ensemble"] - found["ensemble-then-denoise"]) < 0.05
    assert model != "panel" or found["denoise-then-ensemble"] > 0.8


def test_the_model_and_its_doubts_are_printed_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "init", str(tmp_path / "p")) == 0
    monkeypatch.chdir(tmp_path / "p")
    settings = load_config(Path("curate.yaml"))
    assert settings.aggregate.annotator_model == "auto"
    with Lake.open(settings.location) as opened:
        pairs = write_fooled_panel(opened)
    capsys.readouterr()
    assert call(monkeypatch, "aggregate") == 0
    assert "Annotator model: majority (auto" in (said := capsys.readouterr().out)
    assert "holds two opinions" in said
    assert "`curate verify annotate --annotator NAME`), and run `curate aggregate` again." in " ".join(
        said.split()
    )
    assert call(monkeypatch, "status") == 0
    assert "warning: The panel holds two opinions" in capsys.readouterr().out
    assert call(monkeypatch, "report") == 0
    assert "holds two opinions" in Path("report.html").read_text(encoding="utf-8")
    with Lake.open(settings.location) as opened:
        label(opened, pairs[:5])
    assert call(monkeypatch, "aggregate") == 0
    assert "Annotator model: panel (auto" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "least"), [("adversarial", 0.89), ("adversarial, no GPT-4", 0.80)])
def test_forty_labels_on_real_adversarial_panels(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, least: float
) -> None:
    """Through the commands, with the settings of `curate init`."""
    monkeypatch.syspath_prepend(str(BENCH))
    import defaults
    import panels

    monkeypatch.setattr(panels, "DATA", shared_data)
    subset, keep = defaults.PANELS[name]
    assert defaults.measure(tmp_path / "project", subset, keep, 40, draw=0) >= least
