"""Rewards from likelihoods, against sums by hand and against a model's own probabilities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.engine import Engines, build_chat
from curate.engine.base import Continuation, LogLikelihood
from curate.judge import Answer, CandidateResponse, PromptItem
from curate.judge.base import sigmoid
from curate.judge.likelihood import Likelihood, LikelihoodOptions

MakeEngines = Callable[..., Engines]
CONTEST = PromptItem(
    "p",
    build_chat(("user", "the dog")),
    None,
    (CandidateResponse("a", "jumps over"), CandidateResponse("b", "lazy")),
)


def judge(engines: Engines, **options: Any) -> Likelihood:
    return Likelihood(LikelihoodOptions(name="j", kind="likelihood", engine="m", **options), engines)


def answer(judge: Likelihood, item: PromptItem = CONTEST) -> Answer:
    return judge.answer(list(judge.questions(item)))[0]


def test_a_pleased_user_is_likelier_after_the_better_answer(speaking: MakeEngines) -> None:
    options = {"method": "follow-up", "pleased": ("Yay",), "displeased": ("Boo",)}
    found = answer(judge(speaking(likes={"lazy\n": -1.0, "Yay": -0.5}), **options))
    # after "jumps over": −0.5 for Yay, −1 for Boo; after "lazy": −1 for both
    assert found.score == pytest.approx(0.5)
    assert found.p_a == pytest.approx(sigmoid(0.5), abs=1e-6)
    assert found.tokens_in == 40


def test_empty_responses(speaking: MakeEngines) -> None:
    one = PromptItem(
        "p", CONTEST.messages, None, (CandidateResponse("a", " "), CandidateResponse("b", "lazy"))
    )
    assert answer(judge(speaking(), method="pmi"), one).outcome == "b"
    both = PromptItem("p", CONTEST.messages, None, (CandidateResponse("a", " "), CandidateResponse("b", "")))
    assert answer(judge(speaking(), method="pmi"), both).outcome == "abstain"


def test_a_response_is_paid_for_once(speaking: MakeEngines) -> None:
    item = PromptItem("p", CONTEST.messages, None, (*CONTEST.candidates, CandidateResponse("c", "fox")))
    found = judge(speaking(), method="pmi")
    answers = found.answer(list(found.questions(item)))
    assert sum(each.tokens_in for each in answers) == 3 * 2 * 10


@pytest.mark.parametrize("per_token", [True, False])
def test_ratio_and_pmi_on_a_model(make_model: Callable[..., Path], per_token: bool) -> None:
    declared = {
        name: {"kind": "transformers", "model": str(make_model(seed=at))} for at, name in enumerate("mn")
    }
    engines = Engines(declared, Path())

    def log(name: str, text: str, *, bare: bool = False) -> float:
        asked = Continuation(messages=() if bare else CONTEST.messages, continuation=text)
        (found,) = engines.get(name).loglikelihood([asked])
        assert isinstance(found, LogLikelihood)
        return found.log_prob / (found.tokens if per_token else 1)

    def gain(text: str, other: float) -> float:
        return log("m", text) - other

    a, b = (candidate.text for candidate in CONTEST.candidates)
    ratio = answer(judge(engines, method="ratio", baseline="n", per_token=per_token, temperature=2.0))
    assert ratio.score == pytest.approx(gain(a, log("n", a)) - gain(b, log("n", b)), abs=1e-4)
    assert ratio.p_a == pytest.approx(sigmoid((ratio.score or 0) / 2), abs=1e-5)
    pmi = answer(judge(engines, method="pmi", per_token=per_token))
    assert pmi.score == pytest.approx(
        gain(a, log("m", a, bare=True)) - gain(b, log("m", b, bare=True)), abs=1e-4
    )


def test_a_model_over_itself_sees_no_difference(make_model: Callable[..., Path]) -> None:
    engines = Engines({"m": {"kind": "transformers", "model": str(make_model())}}, Path())
    found = answer(judge(engines, method="ratio", baseline="m"))
    assert (found.outcome, found.p_a, found.score) == ("tie", 0.5, 0.0)
