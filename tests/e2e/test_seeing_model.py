"""A model that is taught from nothing to see colours, and reward-trained on four captions at a time, truly sees.

The recipe of bench/seeing_model.py in small: about a minute of one processor core.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from curate.reward.scorer import open_reward_model
from tests.seeing_lessons import teach_model
from tests.seeing_model import build_model, save_models
from tests.seeing_tasks import draw_tasks, measure_model, train_reward, write_rows

pytestmark = pytest.mark.e2e
FAMILIES = ("colour",)


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model is no quicker on more
    yield
    torch.set_num_threads(threads)


def test_a_small_model_sees_colours_and_its_reward_does(tmp_path: Path, one_thread: None) -> None:
    processor, model = build_model(width=64, layers=4, sight=64)
    teach_model(processor, model, steps=600, learning_rate=3e-3, families=FAMILIES)
    save_models(processor, model, tmp_path)
    rows = draw_tasks(600, n=4, seed=1, families=FAMILIES)
    write_rows(tmp_path / "seeing.jsonl", rows)
    train_reward(tmp_path, "seeing", "backbone", epochs=2)
    scorer = open_reward_model("models/seeing", folder=tmp_path, dtype="float32")
    tasks = draw_tasks(200, n=4, seed=2, held_out=True, families=FAMILIES)
    measured, blank = measure_model(scorer, tasks), measure_model(scorer, tasks, pictures="blank")
    assert measured.pairs > 0.9
    assert measured.best > 0.8
    assert abs(blank.pairs - 0.5) < 0.1
    assert blank.best < 0.4
