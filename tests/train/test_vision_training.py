"""`curate train` with a vision-language backbone: it learns from images, resumes exactly, and judges afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from curate.config import Config
from curate.engine.base import Failure, Score
from curate.engine.registry import Engines
from curate.errors import CurateError
from curate.identity import content_id
from curate.lake import Lake
from curate.records import Message, Part, text
from curate.train import train
from curate.train.loop import Trainer
from tests.train.samples import configured, written
from tests.vision_models import painted, vision_model

COLOURS = {"red": ("fox", "dog"), "blue": ("dog", "fox")}  # which answer is better is for the image alone to say


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vision_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def rows(folder: Path, prompts: int = 48) -> list[dict[str, Any]]:
    """In turns as `curate` exports them, as TRL has them, and with the images beside plain text."""
    made = []
    for number in range(prompts):
        colour = ("red", "blue")[number % 2]
        uri = Path(painted(folder / "images", colour, (32 + number % 3, 32), f"{number}").uri or "")
        asked: Any = [{"type": "image"}, {"type": "text", "text": "which is better?"}]
        row: dict[str, Any] = {"images": [f"images/{uri.name}"]}
        if number % 3 == 1:
            asked[0]["uri"], row = str(uri), {}
        elif number % 3 == 2:
            asked = "which is better?"
        better, worse = ({"role": "assistant", "content": said} for said in COLOURS[colour])
        row |= {"prompt": [{"role": "user", "content": asked}], "chosen": [better], "rejected": [worse]}
        made.append(row | {"prompt_id": content_id(number)})
    return made


def vision_config(folder: Path, model: Path, **changes: Any) -> Config:
    defaults: dict[str, Any] = {"epochs": 6, "row_tokens": 512, "batch_tokens": 512}
    return configured(folder, model, **defaults | changes)


def scored(folder: Path, image: Path, answers: tuple[str, ...]) -> list[Score | Failure]:
    settings = {"kind": "transformers", "model": str(folder), "dtype": "float32"}
    engine = Engines({}, folder.parent).make("m", settings, where="m", needs="score")
    assert "images" in engine.capabilities
    asked = Message(role="user", content=(Part(type="image", uri=str(image)), *text("which is better?")))
    return engine.score([(asked, Message(role="assistant", content=text(answer))) for answer in answers])


@pytest.mark.parametrize(
    "changes",
    [{}, {"lora": {"rank": 4}, "head": "mlp", "units": 16, "learning_rate": 1e-2, "precision": "bfloat16"}],
    ids=["all weights", "lora mlp bfloat16"],
)
def test_it_learns_what_only_the_image_says(
    changes: dict[str, Any], lake: Lake, tmp_path: Path, model: Path
) -> None:
    config = vision_config(tmp_path, model, **changes)
    data = written(tmp_path / "data", rows(tmp_path))
    summary = train(lake, config, data)
    assert (summary.counts.rows_in, summary.counts.rows_kept) == (48, 48)
    value = lake.value("SELECT value FROM evaluations WHERE subject = 'reward-model' AND subset = 'all'")
    assert value > 0.9
    folder = config.resolve("models/reward")
    for colour, (better, worse) in COLOURS.items():
        image = Path(painted(tmp_path, colour, (40, 32)).uri or "")
        high, low = scored(folder, image, (better, worse))
        assert isinstance(high, Score)
        assert isinstance(low, Score)
        assert high.value > low.value
    assert (folder / "adapter" / "adapter_model.safetensors").is_file() == ("lora" in changes)
    assert train(lake, config, data).skipped
