"""Time to the answer of 200 concurrent clients of `curate serve-reward`, also with a prompt of 7.8 MB among them.

python bench/serve_large.py MODEL [--rounds 3] [--finish]

With and without the large one by turns, since other work of a machine changes from minute to minute. The client of the
large one hangs up when the others have their answers; with --finish it waits for its own, at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np

CLIENTS, REQUESTS, LARGE = 200, 600, 7_800_000


LARGE_BODY = {"prompt": "why so? " * (LARGE // 8), "responses": ["So."]}


def post(url: str, body: dict[str, object]) -> float:
    """Send a request, and return the seconds until its answer."""
    request = urllib.request.Request(
        f"{url}/score", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    start = time.monotonic()
    with urllib.request.urlopen(request, timeout=3600) as response:
        response.read()
    return time.monotonic() - start


def measure(url: str, *, large: bool) -> np.ndarray:
    """Return the seconds of all small requests."""
    with contextlib.ExitStack() as stack:
        if large:
            body = json.dumps(LARGE_BODY).encode()
            client = stack.enter_context(
                contextlib.closing(http.client.HTTPConnection(url.removeprefix("http://")))
            )
            client.request("POST", "/score", body, {"Content-Type": "application/json"})
            time.sleep(1)  # it is being read when the others come
        with ThreadPoolExecutor(CLIENTS) as pool:
            bodies = [{"prompt": f"question {n}", "responses": ["yes", "no"]} for n in range(REQUESTS)]
            return np.array(list(pool.map(lambda body: post(url, body), bodies)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="A reward model.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--finish", action="store_true")
    arguments = parser.parse_args()
    command = [sys.executable, "-c", "from curate.cli.app import main; main()", "serve-reward"]
    with subprocess.Popen(
        [*command, arguments.model, "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().rsplit(" ", 1)[-1].strip()
            post(url, {"prompt": "?", "responses": ["!"]})
            for _ in range(arguments.rounds):
                for large in (False, True):
                    small = measure(url, large=large)
                    middle, high = np.quantile(small, [0.5, 0.99])
                    words = f"p50 {middle:.3f} s, p99 {high:.3f} s, most {small.max():.3f} s"
                    print(f"large={large}: {words}", flush=True)
            if arguments.finish:
                print(f"the large one alone: {post(url, LARGE_BODY):.1f} s")
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
