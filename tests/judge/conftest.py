"""An engine that follows a script, as a user would bring one: it lets tests say what a model thinks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.config.project import Config, load_config
from curate.engine import Engines, build_chat
from curate.judge import CandidateResponse, PromptItem

SCRIPTED = """
import json, math
from pathlib import Path
from curate.engine import ConfiguredEngine, EngineOptions, Failure
from curate.engine.base import Choice

class Options(EngineOptions):
    first: float = 0.5        # P(the answer shown first), before it looks at the answers
    tie: float = 0.0          # P(tie), where a tie is offered
    mass: float = 1.0         # of the verdicts together
    favourite: str = ""       # an answer that holds this word gets 9 times the odds
    fail: str = ""            # requests that hold this word fail
    log: str = "asked.log"    # one line per request, so that tests can count them
    answer_of: str = "1"      # its revision

class Scripted(ConfiguredEngine):
    Options = Options
    capabilities = frozenset({"choose"})

    def __init__(self, name, options, engines):
        super().__init__(name, options, engines)
        self._log = engines.folder / options.log

    @property
    def revision(self):
        return self.options.answer_of

    def choose(self, requests):
        with self._log.open("a") as log:
            for request in requests:
                print(json.dumps(request.messages[-1].content[0].text), file=log)
        return [self._choice(request) for request in requests]

    def _choice(self, request):
        o, text = self.options, request.messages[-1].content[0].text
        if o.fail and o.fail in text:
            return Failure("time-out: no answer in 30 s", raw="...")
        first, second = text.split("Answer A:")[1].split("Answer B:")
        odds = o.first / (1 - o.first)
        if o.favourite:
            odds *= 9 ** ((o.favourite in first) - (o.favourite in second))
        tie = o.tie if len(request.choices) == 3 else 0.0
        p = odds / (1 + odds) * (1 - tie)
        shares = [p, 1 - tie - p, tie][: len(request.choices)]
        return Choice(tuple(math.log(max(share * o.mass, 1e-300)) for share in shares), len(text) // 4, 0)
"""

SPEAKING = """
import math
from curate.engine import ConfiguredEngine, EngineOptions, Failure
from curate.engine.base import Choice, Completion, Generation, LogLikelihood
from curate.records import plain_text

class Options(EngineOptions):
    says: dict[str, str] = {}       # what it says to chats that hold a word (the first that fits; else nothing)
    picks: dict[str, str] = {}      # the choice that gets 0.8 in chats or prefills that hold a word; else all are even
    likes: dict[str, float] = {}    # log-probability of every character of texts that hold a word, else -1
    able: list[str] = ["generate", "choose", "loglikelihood"]
    answer_of: str = "1"

class Speaking(ConfiguredEngine):
    Options = Options

    def __init__(self, name, options, engines):
        super().__init__(name, options, engines)
        self.asked = []

    @property
    def capabilities(self):
        return frozenset(self.options.able)

    @property
    def revision(self):
        return self.options.answer_of

    def _heard(self, request):
        self.asked.append(request)
        return "\\n".join(plain_text(turn.content) for turn in request.messages) + request.prefill

    def generate(self, requests):
        return [self._say(request) for request in requests]

    def _say(self, request):
        heard = self._heard(request)
        said = next((said for word, said in self.options.says.items() if word in heard), "")
        if said == "FAIL":
            return Failure("time-out")
        for stop in request.sampling.stop:
            said = said.partition(stop)[0]
        return Generation((Completion(said, (), "stop"),), 10, 5)

    def choose(self, requests):
        return [self._pick(request) for request in requests]

    def _pick(self, request):
        heard = self._heard(request)
        choice = next((choice for word, choice in self.options.picks.items() if word in heard), None)
        rest = 1 / len(request.choices) if choice is None else 0.2 / (len(request.choices) - 1)
        shares = [0.8 if each.strip() == choice else rest for each in request.choices]
        return Choice(tuple(math.log(share) for share in shares), 10, 0)

    def loglikelihood(self, requests):
        return [self._like(request) for request in requests]

    def _like(self, request):
        heard = self._heard(request) + request.continuation
        each = next((value for word, value in self.options.likes.items() if word in heard), -1.0)
        return LogLikelihood(each * len(request.continuation), len(request.continuation), 10)
"""
MakeEngines = Callable[..., Engines]
MakeConfig = Callable[[str], Config]


@pytest.fixture
def scripted(tmp_path: Path) -> MakeEngines:
    """Engines with one called `m` that follows the script of the given options."""
    (tmp_path / "scripted.py").write_text(SCRIPTED)

    def make(**options: Any) -> Engines:
        return Engines({"m": {"kind": "./scripted.py:Scripted"} | options}, tmp_path)

    return make


@pytest.fixture
def speaking(tmp_path: Path) -> MakeEngines:
    """Engines with one called `m` that says, picks and likes what the given options tell it."""
    (tmp_path / "speaking.py").write_text(SPEAKING)

    def make(**options: Any) -> Engines:
        return Engines({"m": {"kind": "./speaking.py:Speaking"} | options}, tmp_path)

    return make


@pytest.fixture
def make_config(tmp_path: Path) -> MakeConfig:
    """A curate.yaml beside the scripted and the speaking engine."""
    (tmp_path / "scripted.py").write_text(SCRIPTED)
    (tmp_path / "speaking.py").write_text(SPEAKING)

    def make(text: str) -> Config:
        (tmp_path / "curate.yaml").write_text(text)
        return load_config(tmp_path / "curate.yaml")

    return make


@pytest.fixture
def item() -> PromptItem:
    candidates = (
        CandidateResponse("r1", "Paris, the capital."),
        CandidateResponse("r2", "Rome."),
        CandidateResponse("r3", "I do not know."),
    )
    return PromptItem("p1", build_chat(("user", "What is the capital of France?")), "Paris", candidates)
