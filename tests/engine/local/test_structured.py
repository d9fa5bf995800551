"""JSON schemas in the transformers engine: a random model writes nothing but valid documents; and bare text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.engine import Engines, Failure, Sampling, build_chat
from curate.engine.base import Continuation, Generate, Generation, LogLikelihood
from tests.engine.local.test_causal import plain_model

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "helpful": {"type": "integer", "minimum": 1, "maximum": 5},
            "why": {"type": "string", "maxLength": 12},
            "better": {"enum": ["A", "B"]},
        },
        "required": ["helpful", "why", "better"],
        "additionalProperties": False,
    }
)


@pytest.fixture(scope="module")
def engine(make_model: Callable[..., Path]) -> Any:
    folder = make_model()
    return Engines({"m": {"kind": "transformers", "model": str(folder), "dtype": "float32"}}, folder).get(
        "m", needs="schema"
    )


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_every_answer_matches_the_schema(engine: Any, temperature: float) -> None:
    sampling = Sampling(max_tokens=200, temperature=temperature, n=3)
    requests = [
        Generate(messages=build_chat(("user", asked)), json_schema=SCHEMA, sampling=sampling)
        for asked in ("Hi", "which is better: A or B?", "the quick brown fox")
    ]
    for found in engine.generate(requests):
        assert isinstance(found, Generation)
        for completion in found.completions:
            assert completion.finish == "stop"
            answer = json.loads(completion.text)
            assert answer.keys() == {"helpful", "why", "better"}
            assert answer["helpful"] in range(1, 6)
            assert len(answer["why"]) <= 12
            assert answer["better"] in ("A", "B")


def test_one_bad_schema_harms_no_other_request(engine: Any) -> None:
    free = Generate(messages=build_chat(("user", "Hi")), sampling=Sampling(max_tokens=4))
    bad = [Generate(messages=free.messages, json_schema=schema) for schema in ("{", '{"type": "colour"}')]
    first, *failures, last = engine.generate([free, *bad, free])
    assert isinstance(first, Generation)
    assert first == last
    for failure in failures:
        assert isinstance(failure, Failure)
        assert failure.permanent
        assert "JSON schema" in failure.reason


def test_cut_off_documents_say_so(engine: Any) -> None:
    (found,) = engine.generate(
        [Generate(messages=build_chat(("user", "Hi")), json_schema=SCHEMA, sampling=Sampling(max_tokens=3))]
    )
    assert isinstance(found, Generation)
    assert found.completions[0].finish == "length"


@pytest.mark.parametrize("prefill", ["", "the quick brown"])
def test_bare_text_has_no_template(engine: Any, prefill: str) -> None:
    import torch

    (found,) = engine.loglikelihood([Continuation(messages=(), prefill=prefill, continuation=" fox jumps")])
    assert isinstance(found, LogLikelihood)
    tokenizer, model = plain_model(Path(engine.weights.source))
    begin = [tokenizer.eos_token_id]  # this tokenizer has no token for the beginning
    before = begin + tokenizer(prefill, add_special_tokens=False)["input_ids"]
    ids = begin + tokenizer(prefill + " fox jumps", add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        log_probs = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    expected = sum(float(log_probs[at - 1, ids[at]]) for at in range(len(before), len(ids)))
    assert found.log_prob == pytest.approx(expected, abs=1e-3)
    assert found.tokens == len(ids) - len(before)
