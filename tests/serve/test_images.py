"""Images in requests: scores are those of Python, and what cannot be shown to the model is refused in a sentence."""

from __future__ import annotations

import base64
import http.server
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from curate.core.errors import CurateError
from curate.data.conversation import text_answer
from curate.records import Message, Part, text_parts
from curate.reward.ensemble import open_ensemble
from curate.reward.joint_scorer import JointScorer
from curate.reward.scorer import PromptResponses, RewardScorer, open_reward_model
from curate.reward.vision_scorer import VisionScorer
from curate.serve import reward_function
from curate.serve.app import make_app
from curate.serve.limits import ServerLimits
from tests.conftest import MakeModel
from tests.train.samples import settings
from tests.vision_models import vision_model

ANSWERS = ["the quick fox", "the lazy dog", "no"]
NEEDED = {"qwen2_vl": "torchvision"}


def save_reward_model(folder: Path, family: str, *, joint: bool = False, seed: int = 0) -> Path:
    """Save a vision-language reward model with random weights, as `curate train` saves them."""
    from curate.engine.weights import locate_model
    from curate.train.load_backbone import load_backbone

    backbone = vision_model(folder / "backbone", family)
    weights = locate_model(str(backbone), revision="main", folder=folder)
    forward = "joint" if joint else "shared-prefix"
    target = folder / f"reward-{forward}-{seed}"
    target.mkdir()
    load_backbone(settings(backbone, forward=forward, max_length=512), weights, seed=seed).save(target)
    (target / "training.json").write_text(json.dumps({"settings": {"forward": forward}}))
    return target


@pytest.fixture(scope="module", params=["llava", "idefics3", "qwen2_vl"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if package := NEEDED.get(request.param):
        pytest.importorskip(package, reason="Transformers opens Qwen's processor with it only")
    return save_reward_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_reward_model(tmp_path_factory.mktemp("llava"), "llava")


@pytest.fixture(scope="module")
def joint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_reward_model(tmp_path_factory.mktemp("joint"), "llava", joint=True)


def open_server(folder: Path) -> RewardScorer:
    return open_reward_model(str(folder), folder=folder, share_prompts=True, dtype="float32")


def encode(colour: str, size: tuple[int, int] = (40, 32)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


def embed(colour: str, size: tuple[int, int] = (40, 32)) -> str:
    return "data:image/png;base64," + base64.b64encode(encode(colour, size)).decode()


def ask(uri: str, text: str = "which is better?") -> list[dict[str, Any]]:
    """A user's turn with an image, as OpenAI's clients write it."""
    return [{"type": "image_url", "image_url": {"url": uri}}, {"type": "text", "text": text}]


def expect(scorer: RewardScorer, uri: str | None, answers: list[str]) -> list[float]:
    image = () if uri is None else (Part(type="image", uri=uri),)
    prompt = (Message(role="user", content=(*image, *text_parts("which is better?"))),)
    scores = scorer.score([PromptResponses(prompt, tuple(map(text_answer, answers)))])[0]
    return [float(score) for score in scores]


def test_scores_are_those_of_python_in_all_shapes(model: Path) -> None:
    red, blue = embed("red"), embed("blue", (33, 60))
    scorer = open_server(model)
    assert isinstance(scorer, VisionScorer)
    python = open_reward_model(str(model), folder=model, dtype="float32")  # as `curate score` opens it
    want = {uri: expect(python, uri, ANSWERS) for uri in (red, blue)}
    assert want[red] != pytest.approx(want[blue], abs=1e-3)  # the model looks
    turn = {"role": "user", "content": ask(red)}
    chats = [[turn, {"role": "assistant", "content": answer}] for answer in ANSWERS]
    with TestClient(make_app(scorer, ServerLimits())) as client:

        def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
            response = client.post(path, json=body)
            assert response.status_code == 200, response.text
            return dict(response.json())

        for uri, expected in want.items():
            body = {"messages": [{"role": "user", "content": ask(uri)}], "responses": ANSWERS}
            assert post("/score", body)["scores"] == pytest.approx(expected, abs=1e-4)
        own = {"messages": [{"role": "user", "content": [{"type": "image", "uri": red}, "which is better?"]}]}
        assert post("/score", own | {"responses": ANSWERS})["scores"] == pytest.approx(want[red], abs=1e-4)
        asked = {"prompts": [[turn]] * 3, "completions": [[chat[-1]] for chat in chats]}
        assert post("/rewards", asked)["rewards"] == pytest.approx(want[red], abs=1e-4)
        for path, read in (
            ("/classify", lambda row: row["probs"][0]),
            ("/v1/classify", lambda row: row["probs"][0]),
            ("/pooling", lambda row: row["data"][0]),
            ("/v1/embeddings", lambda row: row["embedding"][0]),
        ):
            answers = [post(path, {"model": "m", "messages": chat}) for chat in chats]
            assert [read(answer["data"][0]) for answer in answers] == pytest.approx(want[red], abs=1e-4)
            assert answers[0]["usage"]["prompt_tokens"] > len(ANSWERS[0].split())
        query = {"content": ask(red)}
        for path, names in (("/v1/score", ("queries", "documents")), ("/score", ("text_1", "text_2"))):
            pairs = post(path, {"model": "m", names[0]: query, names[1]: ANSWERS})
            assert [row["score"] for row in pairs["data"]] == pytest.approx(want[red], abs=1e-4)
        pairs = post(
            "/v1/score", {"model": "m", "queries": [query, {"content": ask(blue)}], "documents": ["no"] * 2}
        )
        assert [row["score"] for row in pairs["data"]] == pytest.approx(
            [want[red][2], want[blue][2]], abs=1e-4
        )
        ranked = post(
            "/rerank", {"model": "m", "query": query, "documents": [*ANSWERS, {"content": ask(blue, "no")}]}
        )
        scores = {row["index"]: row["relevance_score"] for row in ranked["results"]}
        assert [scores[place] for place in range(3)] == pytest.approx(want[red], abs=1e-4)
        shown = next(row["document"] for row in ranked["results"] if row["index"] == 3)
        assert shown == {"multi_modal": ask(blue, "no")}
        rollout = {
            "responses_create_params": {
                "input": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "input_image", "image_url": red},
                            {"type": "input_text", "text": "which is better?"},
                        ],
                    }
                ]
            },
            "response": {"output": [{"type": "message", "role": "assistant", "content": ANSWERS[0]}]},
        }
        assert post("/verify", rollout)["reward"] == pytest.approx(want[red][0], abs=1e-4)
        # Without an image it reads text.
        plain = post("/score", {"prompt": "which is better?", "responses": ANSWERS})["scores"]
        assert plain == pytest.approx(expect(python, None, ANSWERS), abs=1e-4)


def test_a_joint_model_scores_a_group_with_an_image_together(joint: Path) -> None:
    scorer = open_server(joint)
    assert isinstance(scorer, JointScorer)
    red = embed("red")
    want = expect(scorer, red, ANSWERS)
    turn = {"role": "user", "content": ask(red)}
    with TestClient(make_app(scorer, ServerLimits())) as client:
        scored = client.post("/score", json={"messages": [turn], "responses": ANSWERS}).json()
        assert scored["scores"] == pytest.approx(want, abs=1e-4)
        other = {"role": "user", "content": ask(embed("blue"))}
        prompts = [[turn], [other], [turn], [turn]]
        completions = [ANSWERS[0], "yes", ANSWERS[1], ANSWERS[2]]
        rows = client.post("/rewards", json={"prompts": prompts, "completions": completions}).json()[
            "rewards"
        ]
        assert [rows[0], *rows[2:]] == pytest.approx(want, abs=1e-4)  # the rows of one prompt, together
        assert rows[1] == pytest.approx(expect(scorer, embed("blue"), ["yes"])[0], abs=1e-4)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("picture.png", "an image of a request has to be a `data:` URI or a web address, and no path"),
        ("/etc/passwd", "no path of the server's own files"),
        ("file:///etc/passwd", "no path of the server's own files"),
        ("FILE:picture.png", "no path of the server's own files"),
        ("http://127.0.0.1:9/a.png", "an image is at a web address, which is not fetched (see --image-http)"),
        ("data:image/png;base64,bm8gaW1hZ2U=", "an image cannot be decoded"),
        ("data:image/png;base64,%%%", "an image cannot be"),
        ("", "an image has no address"),
        (embed("red", (300, 200)), "an image has more than 50,000 pixels"),
    ],
)
def test_what_cannot_be_shown_is_refused(llava: Path, uri: str, reason: str) -> None:
    (llava / "picture.png").write_bytes(encode("red"))
    turn = {"role": "user", "content": ask(uri)}
    good = {"role": "user", "content": ask(embed("red"))}
    with TestClient(make_app(open_server(llava), ServerLimits(max_pixels=50_000))) as client:
        refused = client.post("/score", json={"messages": [turn], "responses": ANSWERS})
        assert refused.status_code == 422
        assert reason in refused.json()["error"]
        assert "\n" not in refused.json()["error"]
        rows = client.post("/rewards", json={"prompts": [[turn], [good]], "completions": ["no", "no"]}).json()
        assert rows["rewards"][0] is None
        assert isinstance(rows["rewards"][1], float)
        assert reason in rows["errors"]["0"]


def test_limits_on_images_and_what_is_no_image(llava: Path) -> None:
    limits = ServerLimits(max_images=2, max_bytes=20_000)
    with TestClient(make_app(open_server(llava), limits)) as client:
        many = [part for colour in ("red", "blue", "green") for part in ask(embed(colour))]
        body = {"messages": [{"role": "user", "content": many}], "responses": ["no"]}
        answer = client.post("/score", json=body)
        assert answer.status_code == 413
        assert answer.json()["error"] == "3 images in one request, of 2 allowed: send fewer at a time."
        large = {"role": "user", "content": ask("data:image/png;base64," + "A" * 30_000)}
        assert client.post("/score", json={"messages": [large], "responses": ["no"]}).status_code == 413
        film = {
            "role": "user",
            "content": [{"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AA=="}}],
        }
        answer = client.post("/score", json={"messages": [film], "responses": ["no"]})
        assert (answer.status_code, answer.json()["error"]) == (
            422,
            "The model cannot read response 0: the model reads no video, and the chat holds one.",
        )
        # A rendered chat says that there is an image, and holds none.
        chat = "<|im_start|>user\n<image>which?<|im_end|>\n<|im_start|>assistant\nno<|im_end|>\n"
        for path, body in (("/classify", {"input": chat}), ("/get_reward", {"query": [chat]})):
            answer = client.post(path, json=body)
            assert answer.status_code == 422
            assert (
                "a rendered chat holds no images, and this one has the mark of one: send `messages`"
                in answer.text
            )
        assert client.post("/classify", json={"input": chat.replace("<image>", "")}).status_code == 200
        answer = client.post("/classify", json={"input": [1, 2, 3]})
        assert (answer.status_code, "no token ids" in answer.text) == (422, True)


def test_a_model_of_text_says_that_it_reads_none(make_model: MakeModel) -> None:
    scorer = open_server(make_model(head="reward"))
    turn = {"role": "user", "content": ask(embed("red"))}
    reason = "the model reads text alone, and there is an image in the request: leave it out, or serve one that sees"
    with TestClient(make_app(scorer, ServerLimits())) as client:
        answer = client.post("/score", json={"messages": [turn], "responses": ["no"]})
        assert (answer.status_code, answer.json()["error"]) == (
            422,
            f"The model cannot read response 0: {reason}.",
        )
        rows = client.post("/rewards", json={"prompts": [[turn], "Why?"], "completions": ["no", "no"]}).json()
        assert (rows["rewards"][0], rows["errors"]) == (None, {"0": reason})
        assert isinstance(rows["rewards"][1], float)


@contextmanager
def serve_picture() -> Iterator[tuple[str, list[str]]]:
    """Serve a red picture on this machine; the list holds the paths that were asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            content = encode("red")
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


def test_a_web_address_is_fetched_once_from_hosts_that_are_named(llava: Path) -> None:
    scorer = open_server(llava)
    want = expect(scorer, embed("red"), ANSWERS)
    with serve_picture() as (host, asked):
        body = {"messages": [{"role": "user", "content": ask(f"http://{host}/a.png")}], "responses": ANSWERS}
        with TestClient(make_app(scorer, ServerLimits(image_http=True))) as client:
            refused = client.post("/score", json=body)
            assert "an image is at a web address that is not public" in refused.json()["error"]
        assert asked == []
        with TestClient(make_app(scorer, ServerLimits(image_hosts=frozenset({host})))) as client:
            assert client.post("/score", json=body).json()["scores"] == pytest.approx(want, abs=1e-4)
        assert asked == ["/a.png"]


def test_seeds_are_served_together_and_a_reward_function_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (save_reward_model(tmp_path / str(seed), "llava", seed=seed) for seed in (0, 1))
    options: dict[str, Any] = {"penalty": 0.5, "dtype": "float32", "budget": 4096, "max_length": None}
    together = open_ensemble([str(one), str(two)], folder=tmp_path, **options)
    assert together.sees_images
    red = embed("red")
    singles = [expect(open_server(folder), red, ANSWERS) for folder in (one, two)]
    want = [(a + b) / 2 - 0.5 * ((a - b) / 2) ** 2 for a, b in zip(*singles, strict=True)]
    body = {"messages": [{"role": "user", "content": ask(red)}], "responses": ANSWERS}
    with TestClient(make_app(together, ServerLimits())) as client:
        assert client.post("/score", json=body).json()["scores"] == pytest.approx(want, abs=1e-4)

    monkeypatch.chdir(tmp_path)
    (tmp_path / "red.png").write_bytes(encode("red"))
    reward = reward_function(str(one), dtype="float32")
    prompts = [[{"role": "user", "content": ask(uri)}] for uri in (red, "red.png", "gone.png")]
    values = reward(prompts=prompts, completions=["no"] * 3)
    assert values[:2] == pytest.approx([singles[0][2]] * 2, abs=1e-4)
    assert values[2] is None


@pytest.mark.e2e
def test_the_command_serves_a_seeing_model(llava: Path) -> None:
    from tests.serve.test_serve_reward import start

    server = start(llava, "--dtype", "float32", "--max-pixels", "50000", "--image-host", "images.example.org")
    try:
        body = {"messages": [{"role": "user", "content": ask(embed("red"))}], "responses": ANSWERS}
        want = expect(open_server(llava), embed("red"), ANSWERS)
        assert server.post("/score", body)[1]["scores"] == pytest.approx(want, abs=1e-4)
        body["messages"] = [{"role": "user", "content": ask(embed("red", (300, 200)))}]
        status, answer = server.post("/score", body)
        assert (status, "more than 50,000 pixels" in answer["error"]) == (422, True)
    finally:
        server.kill()


def test_a_host_that_is_none_is_refused_at_once() -> None:
    from curate.cli.serve_reward import _read_hosts

    with pytest.raises(CurateError, match=r"--image-host: 'http://a/' is no host"):
        _read_hosts(["http://a/"])
