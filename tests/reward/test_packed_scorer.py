"""Reward models that read a prompt once, as `curate serve-reward` opens them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from curate.data.conversation import text_answer
from curate.engine.base import build_chat
from curate.reward.packed_scorer import PackedScorer
from curate.reward.scorer import PromptResponses, open_reward_model

ASKED = [
    PromptResponses(
        build_chat(("user", "which a b ?")), (text_answer("a"), text_answer("b sep"), text_answer("a b a b"))
    )
]


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A random BERT with one label: no decoder, so it is not packed."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "which", "a", "b", "sep", "?"]
    BertTokenizerFast(vocab={word: number for number, word in enumerate(words)}).save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        num_labels=1, max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    return tmp_path


def test_the_dtype_that_is_asked_for_holds_for_an_encoder_too(encoder: Path) -> None:
    scorers = {
        name: open_reward_model(str(encoder), folder=Path(), dtype=name, share_prompts=True)
        for name in ("auto", "float32", "bfloat16")
    }
    assert not any(isinstance(scorer, PackedScorer) for scorer in scorers.values())
    scores = {name: scorer.score(ASKED)[0] for name, scorer in scorers.items()}
    assert np.array_equal(scores["auto"], scores["float32"])
    assert 0 < np.abs(scores["bfloat16"] - scores["float32"]).max() < 0.1
