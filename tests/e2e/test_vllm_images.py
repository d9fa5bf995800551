"""The real vLLM on this machine's CPU with a tiny vision-language model: a judge's request with two images arrives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from curate.config.project import load_config
from curate.engine.base import Choice, Choose
from curate.engine.registry import Engines
from curate.ingest import ingest_sources
from curate.judge import judge_responses
from curate.lake.lake import Lake
from curate.records import Message, Part, text_parts
from tests import vision_models
from tests.e2e.test_vllm import PYTHON, Served
from tests.seeing import paint

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
_WIDER = {
    "hidden_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 4096,
}
_LOGPROBS = ("--max-model-len", "4096", "--max-logprobs", "1000", "--enable-prefix-caching")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _WIDER.items():  # vLLM's attention on a CPU takes heads of 32 and more
            patch.setitem(vision_models.TEXT, name, value)
        return vision_models.vision_model(tmp_path_factory.mktemp("vision") / "model")


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    if not PYTHON.exists():
        pytest.skip("vLLM's environment is not there: run `make .venvs/vllm/.built`")
    served = Served(model, _LOGPROBS, tmp_path_factory.mktemp("vllm") / "log")
    try:
        served.start()
        served.wait()
        yield served
    finally:
        served.kill()


def test_a_judges_request_with_two_images_arrives_as_such(
    server: Served, model: Path, tmp_path: Path
) -> None:
    for colour in ("red", "blue"):
        paint(tmp_path / f"{colour}.png", colour)
    declared = {
        "served": {"kind": "openai", "url": server.url, "model": "m", "images": "embed", "top_logprobs": 100}
        | {"max_unseen": 1.0, "outage": 20},
        "here": {"kind": "transformers", "model": str(model), "dtype": "float32"},
    }
    engines = Engines(declared, tmp_path)

    def choose(engine: str, *files: str) -> Choice:
        pictures = [Part(type="image", uri=file) for file in files]
        chat = (Message(role="user", content=(*text_parts("Look: "), *pictures, *text_parts("A or B?"))),)
        (choice,) = engines.get(engine).choose([Choose(messages=chat, choices=("A", "B"))])
        assert isinstance(choice, Choice), choice
        return choice

    shown = [(), ("red.png",), ("red.png", "blue.png"), ("blue.png", "red.png"), ("red.png", "red.png")]
    served = [choose("served", *files) for files in shown]
    each = served[1].tokens_in - served[0].tokens_in
    assert each >= 4
    assert {choice.tokens_in for choice in served[2:]} == {served[0].tokens_in + 2 * each}
    assert len({round(choice.log_probs[0], 4) for choice in served}) == len(
        shown
    )  # each picture counts, and its place
    engines.close()


def test_a_project_with_images_is_judged(server: Served, tmp_path: Path) -> None:
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
    document = {
        "engines": {"eye": engine | {"max_unseen": 1.0, "outage": 20}},
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
