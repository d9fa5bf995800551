"""One rule for the dtype of a model, whoever loads it: `auto` is float32 on a CPU and bfloat16 on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from curate.engine import Engines, build_chat
from curate.engine.base import Choose
from curate.engine.local.embeddings import CachedEmbedder
from curate.engine.local.loading import resolve_dtype
from tests.conftest import MakeModel

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_auto_is_float32_on_every_cpu_and_bfloat16_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for native in (False, True):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda native=native: native)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda native=native: native)
        assert resolve_dtype("auto", CPU) == torch.float32
        assert resolve_dtype("auto", GPU) == torch.bfloat16


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_a_dtype_that_is_asked_for_is_taken(name: str) -> None:
    assert resolve_dtype(name, CPU) == resolve_dtype(name, GPU) == getattr(torch, name)


@pytest.fixture
def embedding_model(tmp_path: Path) -> Path:
    """A random sentence-transformers model that was saved in bfloat16."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "dog", "sleeps", "runs"]
    BertTokenizerFast(vocab={word: number for number, word in enumerate(words)}).save_pretrained(
        tmp_path / "bert"
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=32, initializer_range=0.5,
    )  # fmt: skip
    BertModel(config).to(torch.bfloat16).save_pretrained(tmp_path / "bert")
    module = Transformer(str(tmp_path / "bert"))
    model = SentenceTransformer(modules=[module, Pooling(module.get_embedding_dimension())], device="cpu")
    model.save(str(tmp_path / "embedder"))
    return tmp_path / "embedder"


def embed(folder: Path, **options: Any) -> np.ndarray:
    declared = {"m": {"kind": "transformers", "model": str(folder), "device": "cpu"} | options}
    return Engines(declared, Path()).get("m").embed(["a cat sleeps", "a dog runs"])


def test_the_rule_holds_for_embedding_models_too(embedding_model: Path) -> None:
    exact, asked = embed(embedding_model, dtype="float32"), embed(embedding_model, dtype="bfloat16")
    assert np.array_equal(embed(embedding_model), exact)
    assert 1e-5 < np.abs(asked - exact).max() < 5e-2
    engine = Engines(
        {"m": {"kind": "transformers", "model": str(embedding_model), "device": "cpu", "dtype": "bfloat16"}},
        Path(),
    ).get("m")
    (tokens,) = engine.embed_tokens(["a cat sleeps"])
    assert (tokens.shape, tokens.dtype) == ((3, 16), np.float32)


def test_training_embeds_in_float32_whatever_the_model_was_saved_as(embedding_model: Path) -> None:
    vectors = CachedEmbedder(str(embedding_model)).embed(["a cat sleeps", "a dog runs"])
    assert np.abs(vectors - embed(embedding_model, dtype="float32")).max() < 1e-6


@pytest.mark.parametrize("head", ["causal", "reward"])
def test_a_model_saved_in_bfloat16_is_computed_in_float32(
    make_model: MakeModel, tmp_path: Path, head: str
) -> None:
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    folder = make_model(head=head)
    kind = AutoModelForCausalLM if head == "causal" else AutoModelForSequenceClassification
    kind.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path)

    def ask(**options: Any) -> list[float]:
        declared = {"m": {"kind": "transformers", "model": str(tmp_path), "device": "cpu"} | options}
        engine = Engines(declared, Path()).get("m")
        if head == "reward":
            return [
                found.value for found in engine.score([build_chat(("user", "which?"), ("assistant", "A"))])
            ]  # type: ignore[union-attr]
        (found,) = engine.choose([Choose(messages=build_chat(("user", "which?")), choices=("A", "B"))])
        return list(found.log_probs)  # type: ignore[union-attr]

    assert ask() == ask(dtype="float32") != ask(dtype="bfloat16")
