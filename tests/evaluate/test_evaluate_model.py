"""A saved reward model on preference pairs from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from curate.engine.embedding_reward import Description, Heads, save
from curate.engine.embeddings import Embedder
from curate.errors import CurateError
from curate.evaluate import evaluate_model


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that likes `good`, except in the first fold, whose head likes its opposite."""

    def encode(self: Embedder, texts: list[str]) -> np.ndarray:
        return np.array([[1.0, 0.0] if "good" in text else [0.0, 1.0] for text in texts], np.float32)

    monkeypatch.setattr(Embedder, "_encode", encode)
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text("{}")
    taste = np.zeros((3, 6, 1), np.float32)
    taste[:, 0], taste[0, 0] = 1.0, -1.0
    description = Description(
        embedder=str(tmp_path / "encoder"),
        embedder_digest=Embedder(str(tmp_path / "encoder")).digest,
        dimension=2,
        hidden=1,
        folds=2,
        seed=0,
        epochs=[1, 1, 1],
        fingerprint="f",
        metrics={},
    )
    heads = Heads(taste, np.zeros((3, 1), np.float32), np.ones((3, 1), np.float32))
    save(tmp_path / "taste", description, heads, [f"{2 * number:032x}" for number in range(5)])
    return tmp_path / "taste"


def test_unseen_prompts_by_the_final_head_and_seen_ones_by_their_fold(model: Path, tmp_path: Path) -> None:
    seen = [
        {"prompt": "?", "chosen": "good", "rejected": "bad", "prompt_id": f"{2 * n:032x}"} for n in range(4)
    ]
    unseen = [{"prompt": f"{n}?", "chosen": "good", "rejected": "worse!"} for n in range(12)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, seen + unseen)))
    scores = evaluate_model(model, tmp_path / "pairs.jsonl", resamples=100)
    found = {(each.subject, each.subset): (each.estimate.value, each.estimate.n) for each in scores}
    assert found["taste", "all"] == (0.75, 16)  # ids divisible by the number of folds: the head that errs
    assert found["taste", "longer chosen"] == (0.0, 4)
    assert found["taste", "shorter chosen"] == (1.0, 12)
    assert found["length baseline", "all"] == (0.25, 16)
    assert found["random baseline", "all"] == (0.5, 16)


def test_what_cannot_be_evaluated_is_named(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("{}")
    with pytest.raises(CurateError, match="no usable preference pair"):
        evaluate_model(model, tmp_path / "empty.jsonl")
    with pytest.raises(CurateError, match="no reward model in"):
        evaluate_model(tmp_path / "nowhere", tmp_path / "empty.jsonl")
