"""The same panel of rules by each runner: the same tables, a worker killed in the middle, and the time.

python bench/runners.py                    # 500 prompts; Dask and Ray where they are installed
python bench/runners.py --prompts 2000 --milliseconds 20
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import tempfile
import time
from pathlib import Path

from curate.config.project import load_config
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.ingest import ingest_sources
from curate.judge import judge_responses
from curate.lake.lake import Lake

# A worker that finds the file `kill` takes it away and dies, so that exactly one is killed.
RULE = """
import os, signal, time
from pathlib import Path
from curate.judge.rules import Rule

class Slow(Rule):
    def score_response(self, item, text):
        if item.prompt_id[0] == "8":
            try:
                Path(__file__).with_name("kill").unlink()
            except FileNotFoundError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        end, words = time.process_time() + MILLISECONDS / 1000, 0
        while time.process_time() < end:
            words = len(set(text.split()))
        return words or len(set(text.split()))
"""
YAML = """
runner: {runner}
ingest: [{{source: data.jsonl}}]
judge:
  chunk: 1
  judges:
    - {{name: length, kind: rule, rule: length}}
    - {{name: repetition, kind: rule, rule: repetition}}
    - {{name: slow, kind: rule, rule: "./slow.py:Slow"}}
"""
RUNNERS = {"local": "local", "dask": "{kind: dask, workers: 2}", "ray": "{kind: ray, workers: 2}"}
PACKAGES = {"dask": "distributed", "ray": "ray"}
ROWS = "SELECT * EXCLUDE (run_id, seconds) FROM judgments ORDER BY judgment_id"


def write_project(folder: Path, runner: str, prompts: int, milliseconds: float) -> Path:
    """Write a project of `prompts` prompts with four responses each; its own rule takes so long for a response."""
    rng, words = random.Random(1), [f"word{number}" for number in range(4000)]
    folder.mkdir(parents=True)
    with (folder / "data.jsonl").open("w") as out:
        for number in range(prompts):
            texts = [" ".join(rng.choices(words, k=rng.randrange(20, 300))) for _ in range(4)]
            responses = ", ".join(f'{{"id": "{k}", "text": "{text}"}}' for k, text in enumerate(texts))
            print(
                f'{{"id": "{number}", "prompt": "Question {number}?", "responses": [{responses}]}}', file=out
            )
    (folder / "slow.py").write_text(RULE.replace("MILLISECONDS", str(milliseconds)))
    (folder / "curate.yaml").write_text(YAML.format(runner=runner))
    return folder / "curate.yaml"


def judge_project(path: Path, *, kill: bool) -> tuple[float, str]:
    """Judge a project; return the seconds and a digest of its judgments."""
    config = load_config(path)
    if kill:
        path.with_name("kill").touch()
    with Lake.open(config.location) as lake:
        ingest_sources(lake, config)
        began = time.monotonic()
        judge_responses(lake, config)
        seconds = time.monotonic() - began
        if kill and path.with_name("kill").exists():
            raise CurateError("No worker was killed: the measurement is worth nothing.")
        digest = content_id(list(map(repr, lake.rows(ROWS))))
        stored = lake.value("SELECT count(*) FROM judgments")
        assert stored == lake.value("SELECT count(DISTINCT judgment_id) FROM judgments")
    return seconds, f"{stored:,} judgments, {digest}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument(
        "--milliseconds", type=float, default=5.0, help="processor time of a response of the slow rule"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, runner in RUNNERS.items():
            if name in PACKAGES and importlib.util.find_spec(PACKAGES[name]) is None:
                print(f"{name}: not installed, left out")
                continue
            for kill in (False, True) if name != "local" else (False,):
                path = write_project(
                    Path(folder) / f"{name}-{kill}", runner, asked.prompts, asked.milliseconds
                )
                seconds, rows = judge_project(path, kill=kill)
                print(f"{name}{', one worker killed' if kill else ''}: {seconds:.1f} s, {rows}", flush=True)


if __name__ == "__main__":
    main()
