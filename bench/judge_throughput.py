"""What `curate judge` costs beside the model: the same requests, sent by hand and by the judge stage, in turn.

    python bench/judge_throughput.py                                    # both parts, --requests 1200 --rounds 3

- **vllm** (runs itself in vLLM's environment): raw `LLM.chat` with the chats of all verdicts, which vLLM puts into the
  model's template and splits into tokens itself, beside the judge stage with the same `LLM`: same chats, same model,
  same settings, an emptied prefix cache before each. And raw `LLM.generate` on token ids that were made before the
  clock started, which is less work than anybody has who starts from texts. And the prompt tokens that had to be
  computed, with requests as they come, sorted, and shuffled.
- **openai**: a bare asyncio client (httpx, the same number of requests at a time) beside the engine and beside the
  judge stage, on the same server.

The model is a random Llama: by default of 2 layers, 64 wide, so that everything beside the model shows; with
`--layers 8 --width 256` (4 million parameters) it takes longer, though still far less than any that one would judge
with. The judge stage's time includes reading the prompts from the lake, filling in templates, and writing judgments.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venvs" / "vllm" / "bin" / "python"
CONCURRENCY = 32
QUIET = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("part", nargs="?", choices=["both", "vllm", "openai"], default="both")
    parser.add_argument("--requests", type=int, default=1200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.model is not None:
        in_process(chosen.model, chosen.requests, chosen.rounds)
        return
    if not PYTHON.exists():
        sys.exit("vLLM's environment is not there: run `make .venvs/vllm/.built`")
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder) / "model", chosen.layers, chosen.width)
        if chosen.part != "openai":
            asked = [
                "--requests",
                str(chosen.requests),
                "--rounds",
                str(chosen.rounds),
                "--model",
                str(model),
            ]
            subprocess.run([str(PYTHON), __file__, "vllm", *asked], env=os.environ | QUIET, check=True)
        if chosen.part != "vllm":
            with server(model, Path(folder) / "log") as url:
                over_http(url, model, chosen.requests, chosen.rounds)


def in_process(model: Path, requests: int, rounds: int) -> None:
    from vllm import LLM, SamplingParams

    from curate.engine.vllm import model as vllm_model

    options = {
        "kind": "vllm",
        "model": str(model),
        "dtype": "float32",
        "eager": True,
        "block": 32,
        "max_batch": 64,
    }
    shared: Any = LLM(
        str(model), dtype="float32", enforce_eager=True, block_size=32, max_num_seqs=64, max_logprobs=1 << 20,
        enable_prefix_caching=True,
    )  # fmt: skip
    vllm_model.LLM = lambda *_, **__: shared  # type: ignore[misc,assignment]  # one model for both
    vllm_model.VllmModel.close = lambda _: None  # type: ignore[method-assign]
    atexit.register(lambda: shared.llm_engine.engine_core.shutdown())
    folder, asked = project(options, requests)
    (engine,) = opened(folder)
    tokens = engine._get_model().tokens
    targets = tokens.encode_choices(asked)
    prompts = [{"prompt_token_ids": list(each[0].context)} for each in targets]
    settings = [
        SamplingParams(
            max_tokens=1, temperature=0.0, detokenize=False,
            logprob_token_ids=[target.continuation[0] for target in each],
        )
        for each in targets
    ]  # fmt: skip

    chats: list[Any] = [
        [{"role": turn.role, "content": turn.content[0].text} for turn in request.messages]
        for request in asked
    ]
    assert not any(request.prefill for request in asked)

    def chat() -> None:
        shared.chat(chats, settings, use_tqdm=False)

    def raw(order: list[int]) -> int:
        outputs = shared.generate(
            [prompts[at] for at in order], [settings[at] for at in order], use_tqdm=False
        )
        return sum(len(each.prompt_token_ids) - (each.num_cached_tokens or 0) for each in outputs)

    straight = list(range(len(prompts)))
    shuffled = random.Random(0).sample(straight, len(straight))
    by_tokens = sorted(straight, key=lambda at: prompts[at]["prompt_token_ids"])
    fresh: Callable[[], object] = shared.reset_prefix_cache
    raw(straight[:64])
    in_turn(
        "vLLM in this process", len(prompts), rounds, fresh,
        {"raw LLM.chat": chat, "curate judge": lambda: judge_all(folder),
         "raw LLM.generate, token ids": lambda: raw(straight)},
    )  # fmt: skip
    total = sum(len(each["prompt_token_ids"]) for each in prompts)
    print(f"\nprompt tokens computed per judgment, of {total / len(prompts):.1f}:")
    for name, order in (("sorted", by_tokens), ("as they come", straight), ("shuffled", shuffled)):
        fresh()
        print(f"  {name:14}{raw(order) / len(prompts):8.1f}")


def over_http(url: str, model: Path, requests: int, rounds: int) -> None:
    import httpx

    options = {
        "kind": "openai",
        "url": url,
        "model": "m",
        "tokenizer": str(model),
        "concurrency": CONCURRENCY,
    }
    folder, asked = project(options, requests)
    (engine,) = opened(folder)
    tokens = engine._get_model().tokens
    targets = tokens.encode_choices(asked)
    bodies = [
        {"model": "m", "prompt": list(each[0].context), "max_tokens": 1, "temperature": 0.0, "logprobs": 1,
         "return_tokens_as_token_ids": True, "logprob_token_ids": [target.continuation[0] for target in each]}
        for each in targets
    ]  # fmt: skip

    async def bare() -> None:
        limits = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
        gate = asyncio.Semaphore(CONCURRENCY)
        async with httpx.AsyncClient(limits=limits, timeout=600) as client:

            async def one(body: dict[str, Any]) -> Any:
                async with gate:
                    return (await client.post(f"{url}/completions", json=body)).json()

            await asyncio.gather(*(one(body) for body in bodies))

    engine.choose(asked)  # all that the server's prefix cache can hold it holds for every way
    in_turn(
        "OpenAI-compatible server", len(asked), rounds, lambda: None,
        {"bare asyncio client": lambda: asyncio.run(bare()), "engine": lambda: engine.choose(asked),
         "curate judge": lambda: judge_all(folder)},
    )  # fmt: skip


def in_turn(
    title: str, n: int, rounds: int, fresh: Callable[[], object], ways: dict[str, Callable[[], object]]
) -> None:
    """Each way once per round, so that what else the machine does falls on all of them; medians of paired ratios."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            fresh()
            began = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - began)
    base = next(iter(seconds.values()))
    print(f"\n{title}: {n} requests, {rounds} rounds in turn")
    for name, times in seconds.items():
        share = statistics.median(first / each for first, each in zip(base, times, strict=True))
        print(f"  {name:32}{n / statistics.median(times):9.1f} requests/s  {share:7.1%}")


def project(options: dict[str, Any], requests: int) -> tuple[Path, list[Any]]:
    """A folder with ingested prompts, and the verdicts that its judge has to ask for, in its order."""
    from curate.config.project import load_config
    from curate.ingest import ingest_sources
    from curate.judge.configured import Panel
    from curate.judge.pending import list_items, read_items
    from curate.lake.lake import Lake

    folder = Path(tempfile.mkdtemp())
    rng = random.Random(0)
    words = [
        "the",
        "quick",
        "brown",
        "fox",
        "jumps",
        "over",
        "a",
        "lazy",
        "dog",
        "answers",
        "which",
        "better",
    ]

    def sentence(n: int) -> str:
        return " ".join(rng.choices(words, k=n))

    rows = [
        {
            "id": f"q{number}",
            "prompt": sentence(30),
            "responses": [{"id": f"q{number}-{letter}", "text": sentence(12)} for letter in "abcd"],
        }
        for number in range(requests // 12)
    ]
    (folder / "responses.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judges = [{"name": "served", "kind": "pairwise", "engine": "served", "min_mass": 0.0}]
    config = {"engines": {"served": options}, "ingest": [{"source": "responses.jsonl"}],
              "judge": {"judges": judges}}  # fmt: skip
    (folder / "curate.yaml").write_text(json.dumps(config))
    loaded = load_config(folder / "curate.yaml")
    with Lake.open(loaded.location) as lake:
        ingest_sources(lake, loaded)
        found = read_items(lake, [contest.prompt_id for contest in list_items(lake)])
    with Panel(loaded) as panel:
        judge: Any = panel.judges["served"].judge
        judge.engine = noted = Noted()
        judge.answer([question for contest in found for question in judge.questions(contest)])
    return folder, noted.asked


class Noted:
    """Stands where the judge's engine is, and keeps what it is asked."""

    def choose(self, requests: Sequence[Any]) -> list[Any]:
        from curate.engine.base import Failure

        self.asked = list(requests)
        return [Failure("only noted")] * len(requests)


def opened(folder: Path) -> Iterator[Any]:
    from curate.config.project import load_config
    from curate.engine import Engines

    return iter([Engines.from_config(load_config(folder / "curate.yaml")).get("served")])


def judge_all(folder: Path) -> None:
    """`curate judge` but for importing modules, with a judge that has not been asked yet: another revision of it."""
    from curate.config.project import load_config
    from curate.judge import judge_responses
    from curate.lake.lake import Lake

    config = json.loads((folder / "curate.yaml").read_text())
    config["judge"]["judges"][0]["min_mass"] += 1e-12
    (folder / "curate.yaml").write_text(json.dumps(config))
    loaded = load_config(folder / "curate.yaml")
    with Lake.open(loaded.location) as lake:
        judge_responses(lake, loaded)


@contextmanager
def server(model: Path, log: Path) -> Iterator[str]:
    import urllib.request

    command = [str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--served-model-name",
               "m", "--host", "127.0.0.1", "--port", "8397", "--dtype", "float32", "--enforce-eager", "--block-size",
               "32", "--max-num-seqs", "64", "--disable-uvicorn-access-log"]  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=os.environ | QUIET, stdout=out, stderr=out)
    url = "http://127.0.0.1:8397/v1"
    try:
        while True:
            if process.poll() is not None:
                sys.exit(log.read_text()[-2000:])
            try:
                urllib.request.urlopen(f"{url}/models", timeout=5).close()
                break
            except OSError:
                time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def make_model(folder: Path, layers: int, width: int) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sys.path.insert(0, str(ROOT))
    from tests.conftest import CHAT_TEMPLATE, make_tokenizer

    tokenizer = make_tokenizer(CHAT_TEMPLATE)
    tokenizer.model_max_length = 1024
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=3 * width // 2, num_hidden_layers=layers,
        num_attention_heads=width // 32, num_key_value_heads=1, max_position_embeddings=1024, pad_token_id=0,
        bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
