"""What is written of a training: lines of JSON, the same in TensorBoard, and what a kill leaves of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from curate.core.errors import CurateError
from curate.train.metrics import MetricsLog


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_steps_after_the_checkpoint_are_forgotten_and_so_is_half_a_line(tmp_path: Path) -> None:
    metrics = MetricsLog(tmp_path)
    metrics.resume_after(0)
    for step in (1, 2, 3):
        metrics.log_row({"step": step, "loss": 1.0 / step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    MetricsLog(tmp_path).resume_after(2)
    assert [row["step"] for row in lines(tmp_path)] == [1, 2]


def test_only_the_main_process_writes(tmp_path: Path) -> None:
    metrics = MetricsLog(tmp_path / "none", main=False, tensorboard=True)
    metrics.resume_after(0)
    metrics.log_row({"step": 1, "loss": 1.0})
    metrics.close()
    assert not (tmp_path / "none").exists()


def test_tensorboard_has_the_same_curves_also_after_a_kill(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    killed = MetricsLog(tmp_path, tensorboard=True)
    killed.resume_after(0)
    for step in (1, 2, 3):
        killed.log_row({"step": step, "loss": 9.0, "held_out_loss": 9.0})
    killed.close()
    metrics = MetricsLog(tmp_path, tensorboard=True)
    metrics.resume_after(1)
    for step in (2, 3):
        metrics.log_row({"step": step, "loss": 1.0 / step, "held_out_loss": 0.5})
    metrics.close()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    loss = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert loss == [(row["step"], pytest.approx(row["loss"])) for row in lines(tmp_path)]
    assert [event.value for event in events.Scalars("held_out/loss")] == pytest.approx([9.0, 0.5, 0.5])


def test_without_the_package_one_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(CurateError, match=r"pip install 'curate\[tensorboard\]'"):
        MetricsLog(tmp_path, tensorboard=True)
    MetricsLog(tmp_path).resume_after(0)
