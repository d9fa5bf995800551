"""Judges of two servers of different speed: how long judging takes at the same time, and one after the other.

    python bench/judge_engines.py                    # 24 prompts × 3 responses; answers in 0.2 and in 0.5 s

Both servers are of this machine, answer eight requests at a time each, and sleep in place of thinking: what is measured
is the stage. The clock runs over `judge_responses`, from the plan to the last commit, in a fresh lake each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import log
from pathlib import Path

from curate.config.project import load_config
from curate.ingest import ingest_sources
from curate.judge import judge_responses
from curate.lake.lake import Lake

YAML = """
engines:
  fast: {{kind: openai, url: "http://127.0.0.1:{fast}", model: m, concurrency: 8}}
  slow: {{kind: openai, url: "http://127.0.0.1:{slow}", model: m, concurrency: 8}}
ingest: [{{source: responses.jsonl}}]
judge:
  chunk: 4
  judges:
    - {{name: quick, kind: pairwise, engine: fast}}
    - {{name: thorough, kind: pairwise, engine: slow}}
"""


def serve(seconds: float) -> ThreadingHTTPServer:
    likely = [{"token": "A", "logprob": log(0.7)}, {"token": "B", "logprob": log(0.3)}]
    step = likely[0] | {"top_logprobs": likely}
    choice = {
        "index": 0,
        "message": {"content": "A"},
        "finish_reason": "stop",
        "logprobs": {"content": [step]},
    }
    reply = json.dumps({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            time.sleep(seconds)
            self.answer(reply)

        def do_GET(self) -> None:
            self.answer(json.dumps({"data": [{"id": "m"}]}).encode())

        def log_message(self, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def measure(only: list[str] | None, ports: tuple[int, int], prompts: int) -> float:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = [{"id": str(number), "text": "word " * (number + 1)} for number in range(3)]
        rows = [{"id": f"p{n}", "prompt": f"Question {n}?", "responses": texts} for n in range(prompts)]
        (folder / "responses.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "curate.yaml").write_text(YAML.format(fast=ports[0], slow=ports[1]))
        config = load_config(folder / "curate.yaml")
        with Lake.open(config.location) as lake:
            ingest_sources(lake, config)
            began = time.monotonic()
            judge_responses(lake, config, only=only)
            return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--seconds", type=float, nargs=2, default=[0.2, 0.5])
    options = parser.parse_args()
    servers = [serve(seconds) for seconds in options.seconds]
    ports = servers[0].server_port, servers[1].server_port
    measure(None, ports, 1)  # imports
    fast, slow = (measure([name], ports, options.prompts) for name in ("quick", "thorough"))
    both = measure(None, ports, options.prompts)
    print(f"fast alone {fast:.2f} s, slow alone {slow:.2f} s, one after the other {fast + slow:.2f} s")
    print(f"at the same time {both:.2f} s: {both / slow:.2f} times the slow one")


if __name__ == "__main__":
    main()
