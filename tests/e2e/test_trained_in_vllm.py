"""A model of `curate train` in Transformers, in this package and in the real vLLM: the same scores."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from curate.engine import Engines, build_chat
from curate.engine.base import Failure
from curate.lake.lake import Lake
from curate.train import train_reward_model
from tests.e2e.test_vllm import PYTHON, QUIET, ROOT
from tests.train.samples import configured, pair_rows, written

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
SAID = ("fox quick", "lazy dog over", "the", "quick brown fox " * 30)
SCRIPT = """
import json, sys
from pathlib import Path
from curate.engine import Engines, build_chat
folders, out, *said = sys.argv[1:]
found = []
for folder in json.loads(folders):
    settings = {"kind": "vllm", "model": folder, "dtype": "float32", "eager": True, "max_length": 512}
    engine = Engines({"m": settings}, Path()).get("m")
    scores = engine.score([build_chat(("user", "Which one?"), ("assistant", each)) for each in said])
    found.append([each.value for each in scores])
    engine.close()
Path(out).write_text(json.dumps(found))
"""


@pytest.fixture(autouse=True)
def _vllm() -> None:
    if not PYTHON.with_name("..").joinpath(".built").resolve().exists():
        missing = "vLLM's environment is not there: run `make .venvs/vllm/.built`"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)


FORMS = {"full": None, "lora merged": {"rank": 4}}


def test_everyone_reads_the_same_scores(lake: Lake, tmp_path: Path, make_model: Callable[..., Path]) -> None:
    backbone = make_model(hidden_size=64, num_attention_heads=2, num_key_value_heads=1)
    data = written(tmp_path / "data", pair_rows(40))
    folders = []
    for name, lora in FORMS.items():
        (tmp_path / name).mkdir()
        config = configured(tmp_path / name, backbone, lora=lora)
        train_reward_model(lake, config, data)
        folders.append(config.resolve("models/reward"))
    expected = [plainly(folder) for folder in folders]
    assert np.ptp(expected, axis=1).min() > 1e-2  # they differ, so that agreeing means something
    assert np.abs(np.subtract(*expected)).max() > 1e-2
    np.testing.assert_allclose([by_own_engine(folder) for folder in folders], expected, atol=1e-4)

    out = tmp_path / "scores.json"
    environment = os.environ | QUIET | {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    done = subprocess.run(
        [str(PYTHON), "-c", SCRIPT, json.dumps([str(folder) for folder in folders]), str(out), *SAID],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    np.testing.assert_allclose(json.loads(out.read_text()), expected, atol=1e-4)


def plainly(folder: Path) -> list[float]:
    """By Transformers alone, as its documentation says."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    chats = [[{"role": "user", "content": "Which one?"}, {"role": "assistant", "content": s}] for s in SAID]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    classifier = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return [
            float(classifier(**tokenizer.apply_chat_template(each, return_tensors="pt")).logits[0, 0])
            for each in chats
        ]


def by_own_engine(folder: Path) -> list[float]:
    settings: dict[str, Any] = {"kind": "transformers", "model": str(folder), "dtype": "float32"}
    engine = Engines({"m": settings}, folder).get("m")
    found = engine.score([build_chat(("user", "Which one?"), ("assistant", each)) for each in SAID])
    return [each.value for each in found if not isinstance(each, Failure)]
