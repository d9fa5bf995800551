"""The OpenAI-compatible engine against a server whose answers are set here; the real vLLM is in tests/e2e."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from math import log
from pathlib import Path
from typing import Any

import pytest

from curate.core.errors import CurateError
from curate.engine import Engines, Failure, Sampling, build_chat
from curate.engine.base import Choice, Choose, Engine, Generate, Generation, Score
from tests.engine.openai.test_http_client import Behave, Reply, Rude

MODELS = json.dumps({"data": [{"id": "m", "owned_by": "somebody"}]}).encode()


def answer(likely: dict[str, float] | None, text: str = "A", finish: str = "stop") -> Reply:
    """A chat's answer; `likely`: probabilities of first tokens."""
    listed = [{"token": token, "logprob": log(value)} for token, value in (likely or {}).items()]
    steps = (
        [{"token": listed[0]["token"], "logprob": listed[0]["logprob"], "top_logprobs": listed}]
        if listed
        else []
    )
    choice = {"index": 0, "message": {"content": text}, "finish_reason": finish}
    choice["logprobs"] = {"content": steps} if likely else None
    usage = {"prompt_tokens": 7, "completion_tokens": 1}
    return 200, {}, json.dumps({"choices": [choice], "usage": usage}).encode()


@pytest.fixture
def start() -> Iterator[Callable[..., Engine]]:
    servers: list[Rude] = []

    def make(behave: Behave, models: bytes = MODELS, **options: Any) -> Engine:
        servers.append(Rude(behave))
        servers[-1].models = models
        declared = {"kind": "openai", "url": f"http://127.0.0.1:{servers[-1].port}", "model": "m"} | options
        return Engines({"e": declared}, Path()).get("e")

    yield make
    for server in servers:
        server.stop()


def choose(engine: Engine, *choices: str) -> Choice | Failure:
    (found,) = engine.choose([Choose(messages=build_chat(("user", "?")), choices=choices)])
    return found


def test_choices_are_read_from_the_likeliest_tokens(start: Callable[..., Engine]) -> None:
    engine = start(lambda body, seen: answer({"A": 0.7, "B": 0.2, "C": 0.05}))
    found = choose(engine, "A", "B")
    assert isinstance(found, Choice)
    assert found.mass == pytest.approx(0.9)
    assert list(found.probabilities) == pytest.approx([7 / 9, 2 / 9])
    assert (found.tokens_in, found.tokens_out) == (7, 1)
    engine.close()


def test_an_unlisted_choice_is_bounded_or_fails(start: Callable[..., Engine]) -> None:
    engine = start(lambda body, seen: answer({"A": 0.9995, "x": 0.0002}))
    found = choose(engine, "A", "B")
    assert isinstance(found, Choice)
    assert found.probabilities[1] == pytest.approx(0.0002, rel=0.01)  # the least that is listed
    engine.close()
    engine = start(lambda body, seen: answer({"A": 0.6, "x": 0.1}))
    failed = choose(engine, "A", "B")
    assert isinstance(failed, Failure)
    assert failed.permanent
    assert "'B' has at most 0.1" in failed.reason
    assert json.loads(failed.raw or "") == {"A": pytest.approx(-0.5108), "x": pytest.approx(-2.3026)}
    engine.close()
    # "yes" may be written as "y", "es": then it is not below what is left over.
    engine = start(lambda body, seen: answer({"no": 0.6, "y": 0.39, "x": 0.0001}))
    failed = choose(engine, "no", "yes")
    assert isinstance(failed, Failure)
    assert "'yes' has at most 0.39" in failed.reason
    engine.close()


def test_text_comes_with_its_tokens_and_filters_are_failures(start: Callable[..., Engine]) -> None:
    def behave(body: dict[str, Any], seen: int) -> Reply:
        said = body["messages"][-1]["content"]
        if said == "filtered":
            return answer(None, "", "content_filter")
        return answer({"Hi": 0.5}, "Hi", "length" if said == "cut" else "stop")

    engine = start(behave)
    asked = ["hello", "filtered", "cut"]
    first, second, third = engine.generate(
        [Generate(messages=build_chat(("user", each)), sampling=Sampling(n=2)) for each in asked]
    )
    assert isinstance(first, Generation)
    assert [each.text for each in first.completions] == ["Hi", "Hi"]
    assert first.completions[0].tokens[0].log_prob == pytest.approx(log(0.5))
    assert isinstance(second, Failure)
    assert "content_filter" in second.reason
    assert isinstance(third, Generation)
    assert third.completions[0].finish == "length"
    engine.close()


def test_what_the_server_lacks_is_said_at_the_start(start: Callable[..., Engine]) -> None:
    engine = start(lambda body, seen: answer(None))
    assert engine.capabilities == {"generate", "schema"}
    with pytest.raises(
        CurateError, match="'e' cannot give the probabilities of given answers: it can generate"
    ):
        choose(engine, "A")
    engine.close()
    other = json.dumps({"data": [{"id": "other"}]}).encode()
    with pytest.raises(CurateError, match="has no model 'm': it has other"):
        _ = start(lambda body, seen: answer(None), other).capabilities


def test_a_server_that_is_not_there_yet_is_believed(start: Callable[..., Engine]) -> None:
    engine = Engines(
        {"e": {"kind": "openai", "url": "http://127.0.0.1:9/v1", "model": "m", "outage": 0}}, Path()
    ).get("e")
    assert engine.capabilities == {"generate", "schema", "choose"}
    with pytest.raises(CurateError, match="cannot be reached"):
        choose(engine, "A")
    engine.close()


def test_a_begun_answer_needs_a_server_that_goes_on_with_it(start: Callable[..., Engine]) -> None:
    engine = start(lambda body, seen: answer({"A": 0.9}))
    (found,) = engine.choose([Choose(messages=build_chat(("user", "?")), choices=("A",), prefill="Better:")])
    assert isinstance(found, Failure)
    assert "name the model's `tokenizer`" in found.reason
    engine.close()


def test_keys_are_in_the_environment_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def declare(**options: Any) -> Engine:
        options = {"kind": "openai", "url": "https://api.example.com/v1", "model": "m"} | options
        return Engines({"e": options}, Path()).get("e")

    with pytest.raises(CurateError, match="must be the name of an environment variable") as error:
        declare(api_key_env="sk-proj-secret")
    assert "secret" not in str(error.value)
    with pytest.raises(CurateError, match="set the environment variable MY_KEY"):
        declare(api_key_env="MY_KEY")
    with pytest.raises(CurateError, match="holds a user, a password or a query") as error:
        declare(url="https://me:secret@api.example.com/v1")
    assert "secret" not in str(error.value)
    monkeypatch.setenv("MY_KEY", "one")
    first = declare(api_key_env="MY_KEY").revision
    monkeypatch.setenv("MY_KEY", "two")
    assert declare(api_key_env="MY_KEY").revision == first
    assert declare(api_key_env="MY_KEY", url="http://elsewhere/v1", price_in=3).revision == first
    assert declare(model="n").revision != first


def test_prices() -> None:
    options = {"kind": "openai", "url": "http://x/v1", "model": "m"}
    priced = Engines({"e": options | {"price_in": 2.0, "price_out": 8.0}}, Path()).get("e")
    assert priced.price(500_000, 250_000) == pytest.approx(3.0)
    assert Engines({"e": options}, Path()).get("e").price(1, 1) is None


GOOD = {
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "A"},
            "finish_reason": "stop",
            "logprobs": {
                "content": [
                    {
                        "token": "A",
                        "logprob": -0.1,
                        "top_logprobs": [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -3.0}],
                    }
                ]
            },
        }
    ],
    "usage": {"prompt_tokens": 7, "completion_tokens": 1},
    "data": [{"probs": [0.5], "embedding": [1.0, 0.0]}],
}
CHOICE, STEP = ("choices", 0), ("choices", 0, "logprobs", "content", 0)


def altered(place: tuple[str | int, ...], value: object) -> Reply:
    """The good answer with another value at a place of it."""
    answer = json.loads(json.dumps(GOOD))
    target = answer
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    return 200, {}, json.dumps(answer).encode()


ODD_CHOICES = [
    (("choices",), []),
    (("choices",), {}),
    (("choices",), None),
    (("choices",), "A"),
    (CHOICE, None),
    (CHOICE, []),
    ((*CHOICE, "logprobs"), "none"),
    ((*CHOICE, "logprobs", "content"), [None]),
    ((*STEP, "logprob"), None),
    ((*STEP, "logprob"), "-0.1"),
    ((*STEP, "logprob"), float("nan")),
    ((*STEP, "logprob"), float("inf")),
    ((*STEP, "logprob"), 3.0),
    ((*STEP, "logprob"), True),
    ((*STEP, "top_logprobs"), None),
    ((*STEP, "top_logprobs", 1, "logprob"), None),
    ((*STEP, "top_logprobs", 1, "logprob"), float("nan")),
    (("usage", "prompt_tokens"), None),
    (("usage", "prompt_tokens"), 2**70),
    (("usage", "prompt_tokens"), "7"),
    (("usage", "prompt_tokens"), -1),
    (("usage", "completion_tokens"), 1.5),
    (("usage",), [7, 1]),
]
ODD_TEXTS = [
    *(case for case in ODD_CHOICES if case[0][-1] not in ("top_logprobs",) and "top_logprobs" not in case[0]),
    ((*CHOICE, "message"), None),
    ((*CHOICE, "message", "content"), [{"type": "text", "text": "A"}]),
    ((*CHOICE, "message", "content"), None),
    ((*CHOICE, "message", "content"), 7),
    ((*CHOICE, "message", "content"), {"a": {"b": [[[]]]}}),
    ((*CHOICE, "finish_reason"), "content_filter"),
    ((*CHOICE, "finish_reason"), ["stop"]),
]
ODD_REWARDS = [
    (("data",), []),
    (("data",), None),
    (("data", 0), None),
    (("data", 0, "probs"), []),
    (("data", 0, "probs"), None),
    (("data", 0, "probs"), [float("nan")]),
    (("data", 0, "probs"), [float("-inf")]),
    (("data", 0, "probs"), ["0.5"]),
    (("data", 0, "probs"), [[0.5]]),
    (("usage", "prompt_tokens"), 2**70),
]


@pytest.mark.parametrize(("place", "value"), ODD_CHOICES)
def test_an_odd_answer_to_a_choice_is_one_failure(
    start: Callable[..., Engine], place: Any, value: object
) -> None:
    engine = start(lambda body, seen: altered(place, value))
    failed = choose(engine, "A", "B")
    assert isinstance(failed, Failure)
    engine.close()


@pytest.mark.parametrize(("place", "value"), ODD_TEXTS)
def test_an_odd_text_is_one_failure_that_keeps_it(
    start: Callable[..., Engine], place: Any, value: object
) -> None:
    odd, good = altered(place, value), altered(("id",), "x")
    engine = start(lambda body, seen: odd if body["messages"][-1]["content"] == "odd" else good)
    asked = [Generate(messages=build_chat(("user", text))) for text in ("one", "odd", "two")]
    found = engine.generate(asked)
    assert isinstance(found[1], Failure)
    assert found[1].raw is not None or value is None
    assert all(isinstance(found[at], Generation) for at in (0, 2))
    engine.close()


@pytest.mark.parametrize(("place", "value"), ODD_REWARDS)
def test_an_odd_reward_is_one_failure(start: Callable[..., Engine], place: Any, value: object) -> None:
    odd, good = altered(place, value), altered(("id",), "x")
    engine = start(
        lambda body, seen: odd if body["messages"][-1]["content"] == "odd" else good, task="reward"
    )
    found = engine.score([build_chat(("user", "?"), ("assistant", text)) for text in ("one", "odd")])
    assert found[0] == Score(0.5, 7)
    assert isinstance(found[1], Failure)
    assert found[1].reason.startswith("the server's answer is not of the expected form")
    engine.close()


@pytest.mark.parametrize("value", [[], None, [None], [float("nan")], ["1"]])
def test_an_odd_embedding_is_one_sentence(start: Callable[..., Engine], value: object) -> None:
    engine = start(lambda body, seen: altered(("data", 0, "embedding"), value), task="embedding")
    with pytest.raises(
        CurateError, match="offers no embeddings: the server's answer is not of the expected form"
    ):
        engine.embed(["one"])
    engine.close()


@pytest.mark.parametrize(
    "models",
    [
        b"[]",
        b'{"data": null}',
        b'{"data": [null]}',
        b'{"data": [{"id": "m", "max_model_len": "many"}]}',
        b"[" * 100_000,
    ],
)
def test_a_server_that_is_odd_about_its_models_still_answers(
    start: Callable[..., Engine], models: bytes
) -> None:
    engine = start(lambda body, seen: answer({"A": 0.7, "B": 0.2}), models=models)
    assert "choose" in engine.capabilities
    assert isinstance(choose(engine, "A", "B"), Choice)
    engine.close()


def test_half_a_surrogate_pair_is_replaced(start: Callable[..., Engine]) -> None:
    engine = start(lambda body, seen: altered((*CHOICE, "message", "content"), "a\ud800b"))
    (found,) = engine.generate([Generate(messages=build_chat(("user", "?")))])
    assert isinstance(found, Generation)
    assert found.completions[0].text == "a?b"
    engine.close()
