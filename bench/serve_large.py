"""Time to the answer of 200 concurrent clients of `curate serve-reward`, also with a prompt of 7.8 MB among them.

python bench/serve_large.py MODEL
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np

CLIENTS, ROUNDS, LARGE = 200, 3, 7_800_000


def post(url: str, body: dict[str, object]) -> float:
    """Send a request, and return the seconds until its answer."""
    request = urllib.request.Request(
        f"{url}/score", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    start = time.monotonic()
    with urllib.request.urlopen(request, timeout=3600) as response:
        response.read()
    return time.monotonic() - start


def measure(url: str, *, large: bool) -> tuple[np.ndarray, float]:
    """Return the seconds of all small requests, and of the large one."""
    seconds: list[float] = [0.0]
    other = threading.Thread(
        target=lambda: seconds.append(post(url, {"prompt": "why so? " * (LARGE // 8), "responses": ["So."]}))
    )
    if large:
        other.start()
        time.sleep(0.3)  # it is being read when the others come
    with ThreadPoolExecutor(CLIENTS) as pool:
        bodies = [{"prompt": f"question {n}", "responses": ["yes", "no"]} for n in range(CLIENTS * ROUNDS)]
        small = np.array(list(pool.map(lambda body: post(url, body), bodies)))
    if large:
        other.join()
    return small, seconds[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="A reward model.")
    arguments = parser.parse_args()
    command = [sys.executable, "-c", "from curate.cli.app import main; main()", "serve-reward"]
    with subprocess.Popen(
        [*command, arguments.model, "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().rsplit(" ", 1)[-1].strip()
            post(url, {"prompt": "?", "responses": ["!"]})
            for large in (False, True):
                small, whole = measure(url, large=large)
                middle, high = np.quantile(small, [0.5, 0.99])
                words = f"; the large request {whole:.2f} s" if large else ""
                print(f"large={large}: p50 {middle:.3f} s, p99 {high:.3f} s, most {small.max():.3f} s{words}")
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
