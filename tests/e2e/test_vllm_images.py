"""The real vLLM on this machine's CPU with a tiny vision-language model: a judge's request with two images arrives."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from curate.config.project import load_config
from curate.engine.base import Choice, Generate, Generation, Sampling
from curate.engine.registry import Engines
from curate.ingest import ingest_sources
from curate.judge import judge_responses
from curate.lake.lake import Lake
from tests import vision_models
from tests.e2e.test_vllm import PYTHON, QUIET, Served
from tests.e2e.vllm_image_requests import SHOWN, build_request
from tests.seeing import paint

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
_WIDER = {
    "hidden_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 4096,
}
_LOGPROBS = (
    *("--max-model-len", "4096", "--max-logprobs", "1000", "--enable-prefix-caching"),
    *("--logprobs-mode", "processed_logprobs"),
)
INSIDE = """
import json, sys
from pathlib import Path
from curate.engine.base import Generate, Sampling
from curate.engine.registry import Engines
from tests.e2e.vllm_image_requests import SHOWN, build_request

if __name__ == "__main__":
    declared = {"kind": "vllm", "model": sys.argv[1], "dtype": "float32", "max_length": 512}
    declared |= {"eager": True, "max_batch": 8}
    engine = Engines({"e": declared}, Path(sys.argv[2])).get("e", needs="images")
    choices = engine.choose(list(map(build_request, SHOWN)))
    sampling = Sampling(max_tokens=4)
    (written,) = engine.generate([Generate(messages=build_request(SHOWN[2]).messages, sampling=sampling)])
    said = {"choices": [choice.log_probs for choice in choices], "text": written.completions[0].text}
    print(json.dumps(said))
    engine.close()
"""


@pytest.fixture(scope="module", autouse=True)
def _vllm() -> None:
    if not PYTHON.exists():
        pytest.skip("vLLM's environment is not there: run `make .venvs/vllm/.built`")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _WIDER.items():  # vLLM's attention on a CPU takes heads of 32 and more
            patch.setitem(vision_models.TEXT, name, value)
        return vision_models.vision_model(tmp_path_factory.mktemp("vision") / "model")


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(model, _LOGPROBS, tmp_path_factory.mktemp("vllm") / "log")
    try:
        served.start()
        served.wait()
        yield served
    finally:
        served.kill()


def test_a_judges_request_with_two_images_arrives_as_such(server: Served, tmp_path: Path) -> None:
    for colour in ("red", "blue"):
        paint(tmp_path / f"{colour}.png", colour)
    declared = {"kind": "openai", "url": server.url, "model": "m", "images": "embed", "top_logprobs": 100}
    engines = Engines({"e": declared | {"max_unseen": 1.0, "outage": 20}}, tmp_path)
    served = engines.get("e").choose(list(map(build_request, SHOWN)))
    engines.close()
    choices = [choice for choice in served if isinstance(choice, Choice)]
    assert len(choices) == len(SHOWN), served
    text, one, *two = (choice.tokens_in for choice in choices)
    assert one >= text + 4
    assert len(set(two)) == 1
    assert two[0] >= one + 4
    # Each picture counts, and so does its place.
    assert len({round(choice.log_probs[0], 4) for choice in choices}) == len(SHOWN)


def test_a_project_with_images_is_judged(server: Served, model: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    paint(tmp_path / "asked.png", "green")
    responses = []
    for name, colour in enumerate(("red", "blue")):
        paint(tmp_path / f"{colour}.png", colour)
        content = [{"type": "image", "uri": f"{colour}.png"}]
        responses.append({"id": str(name), "messages": [{"role": "assistant", "content": content}]})
    asked = [{"type": "image", "uri": "asked.png"}, {"type": "text", "text": "Paint it in another colour."}]
    row = {"id": "p", "prompt": [{"role": "user", "content": asked}], "responses": responses}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    engine = {"kind": "openai", "url": server.url, "model": "m", "images": "embed", "top_logprobs": 100}
    tokenizer = AutoTokenizer.from_pretrained(model)
    # Random weights have no reason to say A or B: the server is told that nothing else may be said.
    allowed = {"allowed_token_ids": tokenizer.convert_tokens_to_ids(["A", "B"])}
    document = {
        "engines": {"eye": engine | {"max_unseen": 1.0, "outage": 20, "extra": allowed}},
        "ingest": [{"source": "rows.jsonl"}],
        "judge": {"judges": [{"name": "pair", "kind": "pairwise", "engine": "eye", "min_mass": 0}]},
    }
    (tmp_path / "curate.yaml").write_text(yaml.safe_dump(document))
    config = load_config(tmp_path / "curate.yaml")
    with Lake.open(config.location) as lake:
        ingest_sources(lake, config)
        judge_responses(lake, config)
        rows = lake.rows("SELECT shown, outcome, raw, tokens_in FROM judgments ORDER BY shown")
    assert [shown for shown, *_ in rows] == ["ab", "ba"]
    assert all(outcome in ("a", "b", "tie") for _, outcome, *_ in rows), rows
    assert rows[0][2] != rows[1][2]
    assert rows[0][3] == rows[1][3]


def test_inside_this_process_it_says_what_transformers_says(model: Path, tmp_path: Path) -> None:
    for colour in ("red", "blue"):
        paint(tmp_path / f"{colour}.png", colour)
    engines = Engines({"e": {"kind": "transformers", "model": str(model), "dtype": "float32"}}, tmp_path)
    assert "images" in engines.get("e").capabilities
    expected = engines.get("e").choose(list(map(build_request, SHOWN)))
    (written,) = engines.get("e").generate(
        [Generate(messages=build_request(SHOWN[2]).messages, sampling=Sampling(max_tokens=4))]
    )
    engines.close()
    assert isinstance(written, Generation)
    command = [str(PYTHON), "-c", INSIDE, str(model), str(tmp_path)]
    done = subprocess.run(command, env=os.environ | QUIET, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert answers["text"] == written.completions[0].text
    for choice, log_probs in zip(expected, answers["choices"], strict=True):
        assert isinstance(choice, Choice), choice
        assert choice.log_probs == pytest.approx(log_probs, abs=0.02)
