"""Speed of `curate serve-reward`, with and without batching, and with a prompt's responses in one request.

The model is a random Llama; clients keep their connections and ask as fast as they are answered. Three servers in one
run: batches of one response; dynamic batches; and dynamic batches where a request holds all N responses of a prompt.

    python bench/serve.py --clients 16 --seconds 10
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--prompt", type=int, default=120, help="words")
    parser.add_argument("--response", type=int, default=30, help="words")
    parser.add_argument("--n", type=int, default=8, help="responses to a prompt")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder)
        size = make_model(model, options.hidden, options.layers)
        print(
            f"{size / 1e6:.1f} M parameters, {options.clients} clients, {options.prompt} + {options.response} words"
        )
        with serving(model, 1) as single, serving(model, 64) as batched:
            for port in (single, batched):
                wait_for(port)
            for name, port, n in (
                ("batches of one", single, 1),
                ("dynamic batches", batched, 1),
                (f"{options.n} responses a request", batched, options.n),
            ):
                requests, median, batches = measure(port, n, options)
                print(
                    f"{name:24} {requests * n / options.seconds:8.1f} responses/s, median answer {1e3 * median:6.0f} "
                    f"ms, {requests * n / max(batches, 1):5.1f} responses a batch",
                    flush=True,
                )


def make_model(folder: Path, hidden: int, layers: int) -> int:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast

    vocabulary = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3} | {f"w{n}": n + 4 for n in range(996)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>")
    fast.model_max_length = 2048
    fast.chat_template = "{% for m in messages %}<s> {{ m['content'] }} </s> {% endfor %}"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=1000,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        pad_token_id=0,
        num_labels=1,
    )
    model = LlamaForSequenceClassification(config)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return model.num_parameters()


@contextlib.contextmanager
def serving(model: Path, batch: int) -> Iterator[int]:
    """The port of a server that is starting."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port = int(opened.getsockname()[1])
    command = [sys.executable, "-c", "from curate.cli.app import main; main()", "serve-reward", str(model)]
    command += [
        "--port",
        str(port),
        "--batch",
        str(batch),
        "--dtype",
        "float32",
        "--wait",
        "4" if batch > 1 else "0",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def measure(port: int, n: int, options: argparse.Namespace) -> tuple[int, float, float]:
    """Requests answered, the median time of one, and batches computed."""
    times: list[float] = []
    before = metric(port, "curate_batches_total")
    until = time.monotonic() + options.seconds
    threads = [
        threading.Thread(target=client, args=(port, n, seed, until, options, times))
        for seed in range(options.clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(times), statistics.median(times), metric(port, "curate_batches_total") - before


def wait_for(port: int) -> None:
    for _ in range(1200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.25)
        else:
            return
    raise SystemExit("the server did not start")


def client(
    port: int, n: int, seed: int, until: float, options: argparse.Namespace, times: list[float]
) -> None:
    draw = random.Random(seed)

    def words(count: int) -> str:
        return " ".join(f"w{draw.randrange(996)}" for _ in range(count))

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    while time.monotonic() < until:
        body = {"prompt": words(options.prompt), "responses": [words(options.response) for _ in range(n)]}
        started = time.monotonic()
        connection.request("POST", "/score", json.dumps(body))
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        assert len(json.load(answer)["scores"]) == n
        times.append(time.monotonic() - started)


def metric(port: int, name: str) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


if __name__ == "__main__":
    main()
