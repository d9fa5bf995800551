"""The saved reward model: scoring, cross-fitting, saving, and its embeddings."""

from __future__ import annotations

import dataclasses
import json
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.engine.local.embeddings import CachedEmbedder
from curate.reward.embedding_reward import (
    EmbeddingReward,
    EmbeddingRewardConfig,
    Heads,
    assign_fold,
    build_features,
    extract_question,
    hash_prompt_id,
    save_embedding_reward,
)
from curate.reward.scorer import open_reward_model

FOLDS, DIMENSION, HIDDEN = 3, 4, 5
SEEN = [content_id("prompt", number) for number in range(9)]


def random_heads(seed: int = 0) -> Heads:
    rng = np.random.default_rng(seed)
    shapes = [(FOLDS + 1, 3 * DIMENSION, HIDDEN), (FOLDS + 1, HIDDEN), (FOLDS + 1, HIDDEN)]
    return Heads(*(rng.standard_normal(shape).astype(np.float32) for shape in shapes))


def describe_with(embedder: CachedEmbedder) -> EmbeddingRewardConfig:
    return EmbeddingRewardConfig(
        embedder=embedder.name,
        embedder_digest=embedder.digest,
        dimension=DIMENSION,
        hidden=HIDDEN,
        folds=FOLDS,
        seed=0,
        epochs=[1] * (FOLDS + 1),
        fingerprint="f",
        metrics={},
    )


@pytest.fixture
def embedder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CachedEmbedder:
    """An embedding model of the right shape whose vectors depend on the text alone."""

    def encode(self: CachedEmbedder, texts: list[str]) -> np.ndarray:
        seeds = [int(content_id(text)[:8], 16) for text in texts]
        vectors = np.stack([np.random.default_rng(seed).standard_normal(DIMENSION) for seed in seeds])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    monkeypatch.setattr(CachedEmbedder, "_encode", encode)
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text("{}")
    return CachedEmbedder(str(tmp_path / "encoder"))


def test_heads_compute_the_mlp_and_nothing_depends_on_the_batch() -> None:
    heads, rng = random_heads(), np.random.default_rng(1)
    inputs = rng.standard_normal((50, 3 * DIMENSION)).astype(np.float32) * 30
    together = heads.score(inputs, 2)
    hidden = inputs.astype(np.float64) @ heads.w1[2] + heads.b1[2]
    assert np.allclose(together, hidden / (1 + np.exp(-hidden)) @ heads.w2[2], atol=1e-5)
    alone = np.concatenate([heads.score(row[None], 2) for row in inputs])
    assert np.array_equal(together, alone)
    assert np.isfinite(heads.score(inputs * 1e6, 2)).all()


def test_a_prompt_of_the_training_set_is_scored_by_the_head_that_did_not_see_it(
    embedder: CachedEmbedder, tmp_path: Path
) -> None:
    heads = random_heads()
    model = save_embedding_reward(tmp_path / "model", describe_with(embedder), heads, SEEN)
    prompts, responses = ["q"] * 10, [f"answer {number}" for number in range(10)]
    ids = [*SEEN, content_id("unseen")]
    scores = model.score(ids, prompts, responses)
    vectors = build_features(embedder.embed(prompts), embedder.embed(responses))
    for row, identity in enumerate(ids):
        head = int(identity, 16) % FOLDS if identity in SEEN else FOLDS
        assert scores[row] == heads.score(vectors[row : row + 1], head)[0]


def test_loading_gives_the_scores_that_were_saved(embedder: CachedEmbedder, tmp_path: Path) -> None:
    saved = save_embedding_reward(tmp_path / "model", describe_with(embedder), random_heads(), SEEN)
    loaded = EmbeddingReward.load(tmp_path / "model")
    arguments = (SEEN[:3], ["a", "b", "c"], ["x", "y", ""])
    assert np.array_equal(saved.score(*arguments), loaded.score(*arguments))
    assert saved.digest == loaded.digest
    assert loaded.score([], [], []).shape == (0,)


def test_the_digest_changes_with_weights_prompts_and_embedder(
    embedder: CachedEmbedder, tmp_path: Path
) -> None:
    folder, description = tmp_path / "model", describe_with(embedder)
    digests = [
        save_embedding_reward(folder, description, random_heads(), SEEN).digest,
        save_embedding_reward(folder, description, random_heads(1), SEEN).digest,
        save_embedding_reward(folder, description, random_heads(1), SEEN[1:]).digest,
    ]
    assert len(set(digests)) == 3
    assert save_embedding_reward(folder, description, random_heads(), SEEN[::-1]).digest == digests[0]


def test_saving_replaces_the_folder_as_a_whole_and_nobody_elses_files(
    embedder: CachedEmbedder, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    (tmp_path / ".model.curate-tmp-abcdefgh").mkdir()  # what a killed process leaves
    save_embedding_reward(folder, describe_with(embedder), random_heads(), SEEN)
    before = (folder / "head.safetensors").read_bytes()
    save_embedding_reward(folder, describe_with(embedder), random_heads(1), SEEN)
    assert (folder / "head.safetensors").read_bytes() != before
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "head.safetensors",
        "prompts.safetensors",
    ]
    assert not list(tmp_path.glob(".model.*"))
    (folder / "notes.txt").touch()
    with pytest.raises(CurateError, match="is left alone"):
        save_embedding_reward(folder, describe_with(embedder), random_heads(), SEEN)


def test_another_embedder_under_the_same_name_is_refused(embedder: CachedEmbedder, tmp_path: Path) -> None:
    save_embedding_reward(tmp_path / "model", describe_with(embedder), random_heads(), SEEN)
    (tmp_path / "encoder" / "config.json").write_text('{"changed": true}')
    with pytest.raises(CurateError, match="not the one this reward model was trained with"):
        EmbeddingReward.load(tmp_path / "model").score(SEEN[:1], ["q"], ["r"])


def test_what_is_no_model_is_named(embedder: CachedEmbedder, tmp_path: Path) -> None:
    with pytest.raises(CurateError, match=r"no reward model in .*curate train"):
        EmbeddingReward.load(tmp_path / "nowhere")
    save_embedding_reward(tmp_path / "model", describe_with(embedder), random_heads(), SEEN)
    (tmp_path / "model" / "head.safetensors").write_bytes(b"cut short")
    with pytest.raises(CurateError, match="cannot be read"):
        EmbeddingReward.load(tmp_path / "model")


@given(st.binary(min_size=16, max_size=16), st.integers(2, 9))
def test_the_fold_of_our_ids_is_their_number_modulo_folds(identity: bytes, folds: int) -> None:
    assert assign_fold(identity.hex(), folds) == int(identity.hex(), 16) % folds


@given(st.text(max_size=40), st.integers(2, 9))
def test_any_other_id_has_a_fold_and_a_digest_too(identity: str, folds: int) -> None:
    assert 0 <= assign_fold(identity, folds) < folds
    assert len(hash_prompt_id(identity)) == 16


def test_the_question_of_a_dialogue_is_its_last_user_turn() -> None:
    parts = [{"type": "text", "text": "And"}, {"type": "image", "text": None, "uri": "a.png"}]
    turns = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": parts},
    ]
    assert extract_question(turns) == "And\n[image a.png]"
    assert extract_question(turns[:1]) == "Be kind."
    assert extract_question("plain") == "plain"


def test_the_description_is_readable(embedder: CachedEmbedder, tmp_path: Path) -> None:
    save_embedding_reward(tmp_path / "model", describe_with(embedder), random_heads(), SEEN)
    held = json.loads((tmp_path / "model" / "config.json").read_text())
    assert held["folds"] == FOLDS
    assert held["embedder_digest"] == embedder.digest
    assert held["dtype"] == "float32"


def test_a_model_that_does_not_name_its_dtype_is_one_in_float32(
    embedder: CachedEmbedder, tmp_path: Path
) -> None:
    """As models were saved before `dtype` was written down."""
    digest = save_embedding_reward(tmp_path / "model", describe_with(embedder), random_heads(), SEEN).digest
    held = json.loads((tmp_path / "model" / "config.json").read_text())
    del held["dtype"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(held))
    loaded = EmbeddingReward.load(tmp_path / "model")
    assert (loaded.description.dtype, loaded.digest) == ("float32", digest)


def test_another_dtype_than_that_of_the_embeddings_is_refused(
    embedder: CachedEmbedder, tmp_path: Path
) -> None:
    save_embedding_reward(tmp_path / "model", describe_with(embedder), random_heads(), SEEN)
    for dtype in ("auto", "float32"):
        assert open_reward_model("model", folder=tmp_path, dtype=dtype).revision
    with pytest.raises(CurateError, match="computes in float32: leave out the dtype bfloat16"):
        open_reward_model("model", folder=tmp_path, dtype="bfloat16")


def test_an_older_model_keeps_its_id_and_its_way_with_long_texts(
    embedder: CachedEmbedder, tmp_path: Path
) -> None:
    folder, description = tmp_path / "model", describe_with(embedder)
    save_embedding_reward(folder, description, random_heads(), SEEN)
    fields = json.loads((folder / "config.json").read_text())
    del fields["long_texts"]  # as before there were windows
    (folder / "config.json").write_text(json.dumps(fields))
    older = EmbeddingReward.load(folder)
    files = [folder / "head.safetensors", folder / "prompts.safetensors"]
    parts = [blake2b(file.read_bytes(), digest_size=16).hexdigest() for file in files]
    assert older.digest == content_id(description.embedder_digest, FOLDS, *parts)
    assert older.sentence_embedder.long_texts == "cut"
    assert older.n_texts_cut == 0

    newer = dataclasses.replace(description, long_texts="windows")
    loaded = save_embedding_reward(folder, newer, random_heads(), SEEN)
    assert loaded.digest != older.digest
    assert loaded.sentence_embedder.long_texts == "windows"
