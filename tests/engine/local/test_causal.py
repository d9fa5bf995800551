"""Probabilities of the causal engine against a naive reference: one sequence, one token, one softmax at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.engine import Engines, Failure, Sampling, build_chat
from curate.engine.base import Chat, Choice, Choose, Continuation, Engine, Generate, Generation, LogLikelihood
from curate.engine.threads import limit_to_one_thread

MakeModel = Callable[..., Path]
TEXTS = [
    "Hi",
    "the quick brown fox",
    "which is better: A or B?",
    "the quick brown dog",
    "x" * 90,
    "Ünïcödé 🦊",
]


def open_engine(folder: Path, **options: Any) -> Engine:
    declared = {"m": {"kind": "transformers", "model": str(folder), "dtype": "float32"} | options}
    return Engines(declared, folder).get("m")


@pytest.fixture(scope="module")
def folder(make_model: MakeModel) -> Path:
    return make_model()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with limit_to_one_thread():
        yield


@cache
def plain_model(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()


def naive_log_prob(folder: Path, messages: Chat, prefill: str, text: str) -> float:
    """Token by token, with no batch, mask, padding or cache."""
    import torch

    tokenizer, model = plain_model(folder)
    turns = [{"role": turn.role, "content": turn.content[0].text} for turn in messages]
    before = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) + prefill
    context = tokenizer(before, add_special_tokens=False)["input_ids"]
    full = tokenizer(before + text, add_special_tokens=False)["input_ids"]
    assert full[: len(context)] == context
    total = 0.0
    for end in range(len(context), len(full)):
        with torch.inference_mode():
            logits = model(torch.tensor([full[:end]])).logits[0, -1].double()
        total += float(logits.log_softmax(-1)[full[end]])
    return total


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("budget", [64, 4096])
def test_choices_are_the_naive_softmax(folder: Path, share: bool, budget: int) -> None:
    engine = open_engine(folder, share_prefixes=share, budget=budget)
    choices = ("A", "B", " neither", "the question, which is better")
    requests = [
        Choose(messages=build_chat(("system", "Judge."), ("user", text)), choices=choices, prefill=prefill)
        for text in TEXTS
        for prefill in ("", "Better:")
    ]
    for request, found in zip(requests, engine.choose(requests), strict=True):
        assert isinstance(found, Choice)
        expected = [naive_log_prob(folder, request.messages, request.prefill, each) for each in choices]
        np.testing.assert_allclose(found.log_probs, expected, atol=2e-4)
        assert found.probabilities.sum() == pytest.approx(1)
        assert found.mass == pytest.approx(np.exp(expected).sum(), rel=1e-3)


@pytest.mark.parametrize("share", [True, False])
def test_likelihoods_are_the_naive_sum(folder: Path, share: bool) -> None:
    engine = open_engine(folder, share_prefixes=share)
    requests = [Continuation(messages=build_chat(("user", text)), continuation=text) for text in TEXTS]
    for request, found in zip(requests, engine.loglikelihood(requests), strict=True):
        assert isinstance(found, LogLikelihood)
        expected = naive_log_prob(folder, request.messages, "", request.continuation)
        assert found.log_prob == pytest.approx(expected, abs=2e-3)


def test_the_batch_does_not_matter(folder: Path) -> None:
    requests = [Choose(messages=build_chat(("user", text)), choices=("A", "B")) for text in TEXTS]
    engine = open_engine(folder)
    together = engine.choose(requests)
    for request, found in zip(requests, together, strict=True):
        (alone,) = engine.choose([request])
        assert isinstance(found, Choice)
        assert isinstance(alone, Choice)
        np.testing.assert_allclose(found.log_probs, alone.log_probs, atol=1e-4)
    assert engine.choose(requests[::-1]) == together[::-1]  # the same set in another order: the same bits
    engine.close()
    assert engine.choose(requests) == together  # and again after a restart


def test_trees_are_used_only_where_attention_takes_them(make_model: MakeModel) -> None:
    """Gemma 3 with a sliding window: its masks cannot be ours, so sequences are padded, and are right."""
    import torch
    from transformers import AutoTokenizer, Gemma3ForCausalLM, Gemma3TextConfig

    folder = make_model()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = Gemma3TextConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, sliding_window=8, max_position_embeddings=512, pad_token_id=0,
        eos_token_id=2, bos_token_id=1, layer_types=["sliding_attention", "full_attention"],
    )  # fmt: skip
    torch.manual_seed(0)
    Gemma3ForCausalLM(config).save_pretrained(folder)
    requests = [Choose(messages=build_chat(("user", text)), choices=("A", "the")) for text in TEXTS]
    for request, found in zip(requests, open_engine(folder).choose(requests), strict=True):
        assert isinstance(found, Choice)
        expected = [naive_log_prob(folder, request.messages, "", choice) for choice in request.choices]
        np.testing.assert_allclose(found.log_probs, expected, atol=2e-4)


def test_what_does_not_fit_fails_alone(folder: Path) -> None:
    requests = [
        Choose(messages=build_chat(("user", text)), choices=("A", "B")) for text in ("Hi", "word " * 600)
    ]
    fits, too_long = open_engine(folder).choose(requests)
    assert isinstance(fits, Choice)
    assert isinstance(too_long, Failure)
    assert too_long.permanent
    assert "the model takes 512" in too_long.reason


def test_greedy_text_is_what_the_probabilities_say(folder: Path) -> None:
    engine = open_engine(folder)
    requests = [
        Generate(messages=build_chat(("user", text)), sampling=Sampling(max_tokens=6)) for text in TEXTS
    ]
    for request, found in zip(requests, engine.generate(requests), strict=True):
        assert isinstance(found, Generation)
        (completion,) = found.completions
        (alone,) = engine.generate([request])
        assert isinstance(alone, Generation)
        assert alone.completions[0].text == completion.text
        assert len(completion.tokens) <= 6
        assert found.tokens_out == len(completion.tokens)
        if completion.finish == "length":
            total = sum(token.log_prob for token in completion.tokens)
            spelt = naive_log_prob_of_ids(folder, request.messages, completion.text, 6)
            assert total == pytest.approx(spelt, abs=2e-3)


def naive_log_prob_of_ids(folder: Path, messages: Chat, text: str, n: int) -> float:
    """Of the n likeliest next tokens, one after the other."""
    import torch

    tokenizer, model = plain_model(folder)
    turns = [{"role": turn.role, "content": turn.content[0].text} for turn in messages]
    ids = tokenizer(
        tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True),
        add_special_tokens=False,
    )["input_ids"]
    start, total = len(ids), 0.0
    for _ in range(n):
        with torch.inference_mode():
            log_probs = model(torch.tensor([ids])).logits[0, -1].double().log_softmax(-1)
        total += float(log_probs.max())
        ids.append(int(log_probs.argmax()))
    assert tokenizer.decode(ids[start:]) == text
    return total


def test_samples_are_drawn_anew_and_the_same_again(folder: Path) -> None:
    engine = open_engine(folder)
    sampling = Sampling(temperature=1.0, max_tokens=5, n=4, seed=3)
    request = Generate(messages=build_chat(("user", "Hi")), sampling=sampling)
    (first,), (again,) = engine.generate([request]), engine.generate([request])
    assert isinstance(first, Generation)
    assert first == again
    assert len({completion.text for completion in first.completions}) > 1


def test_a_stop_string_ends_the_text(folder: Path) -> None:
    engine = open_engine(folder)
    free = engine.generate([Generate(messages=build_chat(("user", "Hi")), sampling=Sampling(max_tokens=8))])[
        0
    ]
    assert isinstance(free, Generation)
    text = free.completions[0].text
    stop = text[len(text) // 2]
    bound = engine.generate(
        [Generate(messages=build_chat(("user", "Hi")), sampling=Sampling(max_tokens=8, stop=(stop,)))]
    )[0]
    assert isinstance(bound, Generation)
    assert bound.completions[0].text == text.partition(stop)[0]
    assert bound.completions[0].finish == "stop"


def test_a_bound_answer_is_one_of_the_choices(folder: Path) -> None:
    engine = open_engine(folder)
    choices = ("yes", "no", "maybe")
    sampling = Sampling(temperature=1.0, n=50, seed=1)
    (found,) = engine.generate(
        [Generate(messages=build_chat(("user", "Hi")), choices=choices, sampling=sampling)]
    )
    (odds,) = engine.choose([Choose(messages=build_chat(("user", "Hi")), choices=choices)])
    assert isinstance(found, Generation)
    assert isinstance(odds, Choice)
    drawn = [completion.text for completion in found.completions]
    shares = [drawn.count(choice) / 50 for choice in choices]
    np.testing.assert_allclose(shares, odds.probabilities, atol=0.25)
    (greedy,) = engine.generate([Generate(messages=build_chat(("user", "Hi")), choices=choices)])
    assert isinstance(greedy, Generation)
    assert greedy.completions[0].text == choices[int(np.argmax(odds.log_probs))]
