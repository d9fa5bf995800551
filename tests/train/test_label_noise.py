"""Wrong labels of a backbone's training prompts: found by heads on embeddings, and held-out prompts left alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from curate.config.train import TrainSection
from curate.core.progress import no_progress
from curate.data.preference_pairs import PreferencePairs, read_pairs
from curate.engine.local.embeddings import CachedEmbedder
from curate.lake.lake import Lake
from curate.train import train_reward_model
from curate.train.examples import is_held_out
from curate.train.label_noise import correct_labels
from tests.conftest import MakeModel
from tests.train.samples import BAD, GOOD, configured, pair_rows, settings, written


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder whose embedding model counts words."""

    def encode(self: CachedEmbedder, texts: list[str]) -> np.ndarray:
        counts = np.array([[1.0, *(text.split().count(word) for word in GOOD + BAD)] for text in texts])
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)

    monkeypatch.setattr(CachedEmbedder, "_encode", encode)
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text("{}")
    return str(tmp_path / "encoder")


def flipped(folder: Path, prompts: int) -> tuple[Path, list[bool]]:
    """Pairs of which every fifth has its label the wrong way round."""
    rows, wrong = pair_rows(prompts), [number % 5 == 0 for number in range(prompts)]
    for row, each in zip(rows, wrong, strict=True):
        if each:
            row["chosen"], row["rejected"] = row["rejected"], row["chosen"]
    return written(folder, rows), wrong


def remedied(method: str, data: Path, encoder: str) -> tuple[PreferencePairs, PreferencePairs, np.ndarray]:
    """Pairs before and after, and which are held out."""
    section = TrainSection.model_validate(
        {"backbone": settings(Path("m")).model_dump(), "embedder": encoder, "noise": {"method": method}}
    )
    assert section.backbone is not None
    pairs, embedder = read_pairs(data), CachedEmbedder(encoder)
    after, rate = correct_labels(pairs, section, section.backbone, embedder, source=data, track=no_progress)
    assert rate == pytest.approx(0.2, abs=0.1)
    unseen = np.array([is_held_out(each, section.backbone.held_out) for each in pairs.prompt_ids])
    return pairs, after, unseen[pairs.prompt]


@pytest.mark.parametrize("method", ["flip", "drop", "soften"])
def test_wrong_labels_are_found_and_held_out_ones_stay(method: str, tmp_path: Path, encoder: str) -> None:
    data, wrong = flipped(tmp_path / "data", 200)
    before, after, unseen = remedied(method, data, encoder)
    doubted = {
        "flip": after.p_chosen < 0.5,
        "drop": after.weight == 0,
        "soften": after.p_chosen < 0.5,
    }[method]
    assert (doubted == (np.array(wrong) & ~unseen)).all()
    assert (after.p_chosen[unseen] == before.p_chosen[unseen]).all()
    assert (after.weight[unseen] == 1.0).all()


def test_what_held_out_labels_say_reaches_no_training_label(tmp_path: Path, encoder: str) -> None:
    rows = pair_rows(100)
    one = remedied_labels(tmp_path / "one", rows, encoder)
    for row in rows:
        if is_held_out(row["prompt_id"], settings(Path("m")).held_out):
            row["chosen"], row["rejected"] = row["rejected"], row["chosen"]
    assert remedied_labels(tmp_path / "other", rows, encoder) == one


def remedied_labels(folder: Path, rows: list[dict[str, object]], encoder: str) -> list[float]:
    section = TrainSection.model_validate(
        {
            "backbone": settings(Path("m")).model_dump(),
            "embedder": encoder,
            "noise": {"method": "soften", "rate": 0.2},
        }
    )
    assert section.backbone is not None
    pairs = read_pairs(written(folder, rows))
    after, _ = correct_labels(
        pairs, section, section.backbone, CachedEmbedder(encoder), source=folder, track=no_progress
    )
    unseen = np.array([is_held_out(each, section.backbone.held_out) for each in pairs.prompt_ids])
    return [float(each) for each in after.p_chosen[~unseen[pairs.prompt]]]


@pytest.mark.parametrize("method", ["drop", "curriculum"])
def test_a_backbone_is_trained_on_what_is_left(
    method: str, lake: Lake, tmp_path: Path, encoder: str, make_model: MakeModel
) -> None:
    config = configured(tmp_path, make_model(), epochs=1)
    assert config.train is not None
    section = config.train.model_dump(exclude_unset=True) | {"embedder": encoder, "noise": {"method": method}}
    other = config.model_copy(update={"train": TrainSection.model_validate(section)})
    object.__setattr__(other, "_folder", tmp_path)
    data, _ = flipped(tmp_path / "data", 60)
    summary = train_reward_model(lake, other, data)
    about = json.loads((other.resolve("models/reward") / "training.json").read_text())
    assert about["metrics"]["noise_rate"] == pytest.approx(0.2, abs=0.1)
    assert (summary.counts.dropped.get("weight is 0", 0) > 3) == (method == "drop")
    assert summary.counts.rows_in == 60
    assert train_reward_model(lake, other, data).skipped


@pytest.mark.parametrize(
    ("changes", "loss", "match"),
    [
        ({"noise": {"method": "co-teaching"}}, "bradley-terry", "take flip, drop, soften or curriculum"),
        ({"noise": {"method": "flip"}}, "best", "set backbone.loss.kind to bradley-terry"),
        ({"noise": {"method": "flip"}, "hidden": 3}, "bradley-terry", "hidden: with `backbone`"),
        ({"embedder": "e"}, "bradley-terry", "embedder: with `backbone`"),
    ],
)
def test_what_does_not_go_together_is_explained(changes: dict[str, object], loss: str, match: str) -> None:
    backbone = {"model": "m", "loss": {"kind": loss}}
    with pytest.raises(ValidationError, match=match):
        TrainSection.model_validate({"backbone": backbone, **changes})
