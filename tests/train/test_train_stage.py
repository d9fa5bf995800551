"""The stage `train`: what it writes, that it is done once, and that doing it again gives the same bits."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from curate.config.project import Config
from curate.config.train import TrainSection
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.engine.local.embeddings import CachedEmbedder
from curate.lake.lake import Lake
from curate.reward.embedding_reward import EmbeddingReward
from curate.train import train_reward_model

WORDS = ("clear", "kind", "right", "vague", "rude", "wrong")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A workspace whose embedding model counts words."""

    def encode(self: CachedEmbedder, texts: list[str]) -> np.ndarray:
        counts = np.array([[1.0, *(text.split().count(word) for word in WORDS)] for text in texts])
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)

    monkeypatch.setattr(CachedEmbedder, "_encode", encode)
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text("{}")
    section = TrainSection(embedder="encoder", folds=4, hidden=8, learning_rate=3e-3, epochs=20, bootstrap=50)
    config = Config(train=section)
    object.__setattr__(config, "_folder", tmp_path)
    return config


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """80 prompts: good words are chosen, and the rejected one is longer."""
    rng = random.Random(0)
    rows = [
        {
            "prompt": [{"role": "user", "content": f"Question {number}"}],
            "chosen": [{"role": "assistant", "content": " ".join(rng.choices(WORDS[:3], k=3))}],
            "rejected": [{"role": "assistant", "content": " ".join(rng.choices(WORDS[3:], k=6))}],
            "prompt_id": content_id(number),
            "confidence": 0.9,
        }
        for number in range(80)
    ]
    rows.append({**rows[0], "confidence": 7})
    folder = tmp_path / "export" / "jsonl"
    folder.mkdir(parents=True)
    (folder / "train-00000.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "export"


def test_it_saves_a_model_and_says_how_good_it_is(lake: Lake, config: Config, data: Path) -> None:
    summary = train_reward_model(lake, config, data)
    assert (summary.counts.rows_in, summary.counts.rows_kept) == (81, 80)
    assert summary.counts.dropped == {"wrong value": 1}
    assert not summary.skipped
    query = "SELECT subject, subset, metric, value, n FROM evaluations WHERE benchmark = 'held-out labels'"
    rows = {(subject, subset): (value, n) for subject, subset, _, value, n in lake.rows(query)}
    assert rows["reward-model", "all"] == (1.0, 80)
    assert rows["length baseline", "all"][0] < 0.1
    assert rows["random baseline", "all"] == (0.5, 80)
    model = EmbeddingReward.load(config.resolve("models/reward"))
    good, bad = model.score([content_id("new")] * 2, ["Question"] * 2, ["kind clear", "rude wrong"])
    assert good > bad
    held = model.description.metrics["held_out_accuracy"]["reward-model"]["all"]
    assert (held["value"], held["n"]) == (1.0, 80)
    assert "held-out accuracy 1.000" in summary.note


def test_a_folder_with_other_things_is_refused_before_the_work(
    lake: Lake, config: Config, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = config.resolve("models/reward")
    (models / "other-model").mkdir(parents=True)
    (models / "other-model" / "weights").write_text("x")
    (models / "thesis.txt").write_text("years of work")
    (models.parent / ".reward.mine").mkdir()
    monkeypatch.setattr("curate.train.embedding_model.read_pairs", None)
    with pytest.raises(CurateError, match=r"not part of a reward model .* \(other-model/weights\)"):
        train_reward_model(lake, config, data)
    assert (models / "thesis.txt").read_text() == "years of work"


def test_the_saved_scores_of_training_prompts_are_the_measured_ones(
    lake: Lake, config: Config, data: Path
) -> None:
    rng = random.Random(1)
    file = data / "jsonl" / "train-00000.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()[:80]]
    for row in rows:
        if rng.random() < 0.3:
            row["chosen"], row["rejected"] = row["rejected"], row["chosen"]
    file.write_text("\n".join(map(json.dumps, rows)))
    train_reward_model(lake, config, data)
    model = EmbeddingReward.load(config.resolve("models/reward"))
    sides = [
        model.score(
            [row["prompt_id"] for row in rows],
            [row["prompt"] for row in rows],
            [row[side][0]["content"] for row in rows],
        )
        for side in ("chosen", "rejected")
    ]
    accuracy = (0.5 + 0.5 * np.sign(sides[0] - sides[1])).mean()
    query = "SELECT value FROM evaluations WHERE subject = 'reward-model' AND subset = 'all'"
    assert lake.value(query) == pytest.approx(accuracy)
    assert 0.5 < accuracy < 0.9


@pytest.mark.parametrize(
    "changes",
    [
        {"noise": {"method": "soften"}, "members": 3, "combine": "lower"},
        {"noise": {"method": "co-teaching"}, "members": 2},
        {"noise": {"method": "curriculum", "rate": 0.2}},
    ],
    ids=lambda changes: changes["noise"]["method"],
)
def test_noise_and_ensembles_are_settings(
    changes: dict[str, Any], lake: Lake, config: Config, data: Path
) -> None:
    assert config.train is not None
    section = TrainSection.model_validate(config.train.model_dump(exclude_defaults=True) | changes)
    other = config.model_copy(update={"train": section})
    object.__setattr__(other, "_folder", config.resolve("."))
    train_reward_model(lake, other, data)
    model = EmbeddingReward.load(config.resolve("models/reward"))
    assert model.heads.members == section.members
    assert 0.0 <= model.description.metrics["noise_rate"] < 0.5
    good, bad = model.score([content_id("new")] * 2, ["Question"] * 2, ["kind clear", "rude wrong"])
    assert good > bad


def test_a_linear_head_is_a_model_like_any_other(lake: Lake, config: Config, data: Path) -> None:
    other = config.model_copy(update={"train": TrainSection(embedder="encoder", folds=4, head="linear")})
    object.__setattr__(other, "_folder", config.resolve("."))
    train_reward_model(lake, other, data)
    model = EmbeddingReward.load(config.resolve("models/reward"))
    held = model.description.metrics["held_out_accuracy"]["reward-model"]["all"]
    assert (held["value"], held["n"]) == (1.0, 80)
    good, bad = model.score([content_id("new")] * 2, ["Question"] * 2, ["kind clear", "rude wrong"])
    assert good > bad
    assert train_reward_model(lake, other, data).skipped
    with pytest.raises(ValidationError, match="hidden, noise: `head: linear` has no such settings"):
        TrainSection.model_validate({"head": "linear", "hidden": 8, "noise": {"method": "flip"}})


def test_done_work_is_recognised_until_data_settings_or_model_change(
    lake: Lake, config: Config, data: Path
) -> None:
    train_reward_model(lake, config, data)
    before, runs = lake.snapshot(), lake.value("SELECT count(*) FROM runs")
    again = train_reward_model(lake, config, data)
    assert again.skipped
    assert lake.snapshot() == before
    assert "held-out accuracy" in again.note

    shutil.rmtree(config.resolve("models/reward"))
    assert not train_reward_model(lake, config, data).skipped
    assert config.train is not None
    other = config.model_copy(update={"train": config.train.model_copy(update={"seed": 1})})
    object.__setattr__(other, "_folder", config.resolve("."))
    assert not train_reward_model(lake, other, data).skipped
    assert not train_reward_model(lake, config, data).skipped  # the other settings have overwritten the model
    with (data / "jsonl" / "train-00000.jsonl").open("a") as file:
        file.write("\n" + json.dumps({"prompt": "p", "chosen": "a", "rejected": "b"}))
    assert not train_reward_model(lake, config, data).skipped
    assert lake.value("SELECT count(*) FROM runs") == runs + 4
    assert lake.value("SELECT count(*) FROM evaluations WHERE subset = 'all'") == 3  # replaced, not added


def test_training_again_after_a_kill_gives_the_same_bits(lake: Lake, config: Config, data: Path) -> None:
    train_reward_model(lake, config, data)
    folder = config.resolve("models/reward")
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    evaluations = lake.rows("SELECT * EXCLUDE run_id FROM evaluations ORDER BY ALL")
    with lake.write("as if killed between saving the model and recording it") as writer:
        writer.delete("runs", "stage = 'train'")
        writer.delete("evaluations", "benchmark = 'held-out labels'")  # written with the run or not at all
    assert not train_reward_model(lake, config, data).skipped
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == first
    assert lake.rows("SELECT * EXCLUDE run_id FROM evaluations ORDER BY ALL") == evaluations


def test_what_cannot_be_trained_on_is_explained(
    lake: Lake, config: Config, data: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text(json.dumps({"prompt": "p", "chosen": "a", "rejected": "b"}))
    with pytest.raises(CurateError, match="only 1 prompts, too few for 4 cross-fitting folds"):
        train_reward_model(lake, config, few)
    few.write_text(json.dumps({"prompt": "p", "chosen": "a", "rejected": "a"}))
    with pytest.raises(CurateError, match=r"no usable preference pair .*: 1 × same response twice"):
        train_reward_model(lake, config, few)
    with pytest.raises(CurateError, match="no section `train`"):
        train_reward_model(lake, Config(), data)
    assert lake.value("SELECT count(*) FROM runs") == 0


def test_importing_the_stages_and_skipping_need_no_torch() -> None:
    code = (
        "import sys, curate.train.embedding_model, curate.train.language_model\n"
        "import curate.evaluate.stage, curate.evaluate.benchmarking\n"
        "print([name for name in ('torch', 'transformers', 'datasets', 'numba') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
