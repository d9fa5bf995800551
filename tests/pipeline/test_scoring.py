"""Scores of responses in their order, by what `curate train` saved and by any sequence-classification model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import curate
from curate.engine.local.embeddings import CachedEmbedder
from curate.records import Message, prompt_id, text_parts
from curate.reward.embedding_reward import EmbeddingRewardConfig, Heads, save_embedding_reward

MakeModel = Callable[..., Path]
ROWS = [
    {"id": "q1", "prompt": "Why?", "response": "So."},
    {"id": "q2", "prompt": "How?", "response": "Like this."},
    {"id": "q1", "prompt": "Why?", "response": "No idea."},
]
SEEN = prompt_id((Message(role="user", content=text_parts("Why?")),), key="q1", reference=None)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trained model whose heads differ: that of a fold scores 0, the final one the length of the response."""

    def encode(self: CachedEmbedder, texts: list[str]) -> np.ndarray:
        return np.array([[len(item) / 10, 1.0] for item in texts], np.float32)

    monkeypatch.setattr(CachedEmbedder, "_encode", encode)
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text("{}")
    embedder = CachedEmbedder(str(tmp_path / "encoder"))
    rng = np.random.default_rng(0)
    w1, b1, w2 = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 6, 4), (3, 4), (3, 4)))
    w2[:2] = 0
    description = EmbeddingRewardConfig(
        embedder=embedder.name,
        embedder_digest=embedder.digest,
        dimension=2,
        hidden=4,
        folds=2,
        seed=0,
        epochs=[1] * 3,
        fingerprint="f",
        metrics={},
    )
    save_embedding_reward(tmp_path / "reward", description, Heads(w1, b1, w2), [SEEN])
    return tmp_path / "reward"


def test_scores_come_in_the_order_of_the_rows_from_every_kind_of_frame(model: Path) -> None:
    rows = [{key: row[key] for key in ("prompt", "response")} for row in ROWS]
    scores = curate.score_responses(model, rows)
    assert scores.shape == (3,)
    assert len(set(scores)) == 3
    for frame in (pl.DataFrame(rows), pd.DataFrame(rows)):
        assert (curate.score_responses(str(model), frame) == scores).all()
    assert (curate.score_responses(model, rows[::-1]) == scores[::-1]).all()
    nested = [
        {"prompt": "Why?", "responses": ["So.", "No idea."]},
        {"prompt": [{"role": "user", "content": "How?"}], "responses": [{"id": "x", "text": "Like this."}]},
    ]
    assert (curate.score_responses(model, nested) == scores[[0, 2, 1]]).all()


def test_a_prompt_of_the_training_set_is_scored_by_the_head_that_did_not_see_it(model: Path) -> None:
    assert (curate.score_responses(model, ROWS) != 0).tolist() == [False, True, False]
    other = [row | {"reference": "Because."} for row in ROWS]  # another prompt: it has a reference
    assert (curate.score_responses(model, other) != 0).all()


def test_a_sequence_classification_model_scores(make_model: MakeModel) -> None:
    rows = [{"prompt": "Why?", "response": "So."}, {"prompt": "Why?", "response": "No idea at all."}]
    scores = curate.score_responses(make_model(head="reward"), rows)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert scores[0] != scores[1]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "rows has no rows"),
        ([{"prompt": "Why?"}], "no column `response`"),
        ([{"prompt": "Why?", "response": "So.", "text": "So."}], "unknown column `text`"),
        ([{"prompt": "Why?", "response": None}], r"rows\[0\]: `responses\[0\]` is null, but should be"),
        ([{"prompt": None, "response": "So."}], r"rows\[0\]: `prompt` is null, but should be"),
        ([{"prompt": "Why?", "responses": []}], r"rows\[0\]: `responses` must be a list"),
    ],
)
def test_rows_that_cannot_be_scored_are_one_sentence(rows: list[dict[str, Any]], sentence: str) -> None:
    with pytest.raises(curate.CurateError, match=sentence):
        curate.score_responses("models/reward", rows)
