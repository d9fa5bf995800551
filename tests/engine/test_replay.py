"""A recording answers as its engine did, asks it only for what is new, and survives a killed writer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from curate.core.errors import CurateError
from curate.engine import Engines, Failure, build_chat
from curate.engine.base import Choice, Choose, Continuation, Generate, Sampling
from curate.engine.replay import hash_request

MakeModel = Callable[..., Path]
REQUESTS = [
    Choose(messages=build_chat(("user", text)), choices=("A", "B")) for text in ("one", "two", "three")
]


@pytest.fixture
def engines(make_model: MakeModel, tmp_path: Path) -> Engines:
    declared = {
        "model": {"kind": "transformers", "model": str(make_model()), "dtype": "float32"},
        "recording": {"kind": "replay", "path": "answers.jsonl", "source": "model"},
    }
    return Engines(declared, tmp_path)


def replayed(folder: Path) -> Engines:
    return Engines({"offline": {"kind": "replay", "path": "answers.jsonl"}}, folder)


def test_a_recording_says_what_the_model_said(engines: Engines, tmp_path: Path) -> None:
    recording = engines.get("recording")
    asked = recording.choose(REQUESTS[:2])
    sampling = Sampling(temperature=1.0, max_tokens=3, n=2)
    text = recording.generate([Generate(messages=build_chat(("user", "one")), sampling=sampling)])
    likely = recording.loglikelihood([Continuation(messages=build_chat(("user", "one")), continuation="A")])
    assert recording.revision == engines.get("model").revision

    offline = replayed(tmp_path).get("offline")
    assert offline.capabilities == {"choose", "generate", "schema", "loglikelihood"}
    assert offline.choose(REQUESTS[:2]) == asked == engines.get("model").choose(REQUESTS[:2])
    assert offline.generate([Generate(messages=build_chat(("user", "one")), sampling=sampling)]) == text
    assert (
        offline.loglikelihood([Continuation(messages=build_chat(("user", "one")), continuation="A")])
        == likely
    )


def test_only_what_is_new_is_asked(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    recording, model = engines.get("recording"), engines.get("model")
    asked: list[int] = []
    ask = model.choose
    monkeypatch.setattr(model, "choose", lambda requests: asked.append(len(requests)) or ask(requests))
    recording.choose(REQUESTS[:2])
    recording.choose([*REQUESTS, REQUESTS[2]])
    recording.choose(REQUESTS)
    assert asked == [2, 1]


def test_what_is_not_recorded_is_a_failure(engines: Engines, tmp_path: Path) -> None:
    engines.get("recording").choose(REQUESTS[:1])
    known, unknown = replayed(tmp_path).get("offline").choose(REQUESTS[:2])
    assert isinstance(known, Choice)
    assert isinstance(unknown, Failure)
    assert "not in the recording" in unknown.reason


def test_a_half_written_last_line_is_passed_over(engines: Engines, tmp_path: Path) -> None:
    engines.get("recording").choose(REQUESTS[:1])
    file = tmp_path / "answers.jsonl"
    file.write_bytes(file.read_bytes() + b'{"method": "choose", "requ')
    fresh = Engines(dict(engines._declared), tmp_path)
    answers = fresh.get("recording").choose(REQUESTS)
    assert replayed(tmp_path).get("offline").choose(REQUESTS) == answers
    assert len(file.read_bytes().splitlines()) == 3


def test_a_last_line_without_newline_is_kept(engines: Engines, tmp_path: Path) -> None:
    engines.get("recording").choose(REQUESTS[:1])
    file = tmp_path / "answers.jsonl"
    file.write_bytes(file.read_bytes().rstrip())
    Engines(dict(engines._declared), tmp_path).get("recording").choose(REQUESTS)
    assert len(file.read_bytes().splitlines()) == 3


def test_a_broken_recording_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text("oops\n{}\n")
    with pytest.raises(CurateError, match=r"answers\.jsonl, line 1"):
        replayed(tmp_path).get("offline").choose(REQUESTS)
    (tmp_path / "answers.jsonl").unlink()
    with pytest.raises(CurateError, match=r"no such file: add a `source`"):
        replayed(tmp_path).get("offline")


def test_embeddings_are_recorded_too(tmp_path: Path) -> None:
    (tmp_path / "fake.py").write_text(
        "import numpy as np\n"
        "from curate.engine import ConfiguredEngine\n"
        "class Lengths(ConfiguredEngine):\n"
        "    capabilities = frozenset({'embed'})\n"
        "    revision = '1'\n"
        "    def embed(self, texts):\n"
        "        return np.array([[len(t), 1.0] for t in texts], np.float32)\n"
    )
    declared = {
        "lengths": {"kind": "./fake.py:Lengths"},
        "recording": {"kind": "replay", "path": "answers.jsonl", "source": "lengths"},
    }
    made = Engines(declared, tmp_path).get("recording", needs="embed").embed(["a", "bcd"])
    np.testing.assert_array_equal(made, [[1, 1], [3, 1]])
    np.testing.assert_array_equal(replayed(tmp_path).get("offline").embed(["bcd", "a"]), [[3, 1], [1, 1]])
    with pytest.raises(CurateError, match="not in the recording"):
        replayed(tmp_path).get("offline").embed(["new"])


BROKEN = """
from curate.engine import ConfiguredEngine
from curate.engine.base import Score

class Broken(ConfiguredEngine):
    capabilities = frozenset({"score"})
    revision = "1"

    def score(self, chats):
        return [Score(float("nan"), 1) for _ in chats]
"""


def test_what_is_no_number_is_not_recorded_and_not_replayed(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    declared = {
        "broken": {"kind": "./broken.py:Broken"},
        "recording": {"kind": "replay", "path": "answers.jsonl", "source": "broken"},
    }
    asked = [build_chat(("user", "?"), ("assistant", "!"))]
    (score,) = Engines(declared, tmp_path).get("recording").score(asked)
    assert not isinstance(score, Failure)
    assert np.isnan(score.value)
    line = {
        "method": "score",
        "request": hash_request("score", asked[0]),
        "answer": {"value": None, "tokens_in": 1},
    }
    (tmp_path / "answers.jsonl").write_text(json.dumps(line) + "\n")
    (failed,) = replayed(tmp_path).get("offline").score(asked)
    assert isinstance(failed, Failure)
    assert failed.reason.startswith("the recording holds no such answer")
