"""The path of rubrics by a language model, with SmolLM2-135M in vLLM on a CPU: what fails, and what comes out.

    PYTHONPATH=. python bench/rubric_language_model.py ../shared/data [--pairs 50] [--keep FOLDER]

UKPConvArg1: pairs of arguments with the reasons of crowd workers. All five methods of `curate rubric extract`, then
`curate judge` with the rubric, one verdict a request (P(Yes)) and four a request (JSON with reasons). vLLM runs in the
environment of the tests (`make .venvs/vllm/.built`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from curate.config.project import load_config
from curate.lake.lake import Lake
from tests.e2e.smollm import save_smollm
from tests.e2e.test_vllm import GRAMMAR, Served

METHODS = ["contrastive", "traces", "reasons", "revise", "hypotheses"]


def read_pairs(data: Path, number: int) -> list[dict[str, Any]]:
    """Pairs of the strict set with the reasons of the workers who agree with gold."""
    folder = data / "ukpconvarg1"
    texts = dict(pl.read_parquet(folder / "arguments.parquet").select("arg_id", "text").iter_rows())
    debates = dict(pl.read_parquet(folder / "arguments.parquet").select("arg_id", "debate").iter_rows())
    votes = pl.read_parquet(folder / "votes.parquet").select("pair_id", "worker", "verdict")
    reasons = pl.read_parquet(folder / "reasons.parquet").join(votes, on=["pair_id", "worker"])
    pairs = pl.read_parquet(folder / "pairs.parquet").filter(
        pl.col("in_strict"), pl.col("gold").is_in(["A", "B"])
    )
    rows = []
    for pair in pairs.sample(number, seed=0, shuffle=True).iter_rows(named=True):
        said = reasons.filter(pl.col("pair_id") == pair["pair_id"], pl.col("verdict") == pair["gold"])
        better, worse = ("arg_a", "arg_b") if pair["gold"] == "A" else ("arg_b", "arg_a")
        rows.append(
            {
                "prompt": f"Argue about this: {debates[pair['arg_a']]}",
                "prompt_id": pair["topic"],
                "chosen": texts[pair[better]],
                "rejected": texts[pair[worse]],
                "reasons": [text for text in said["reason"].to_list() if text],
            }
        )
    return rows


def write_project(folder: Path, rows: list[dict[str, Any]], server: Served) -> None:
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    prompts: dict[str, dict[str, Any]] = {}
    for row in rows:
        prompt = prompts.setdefault(
            row["prompt"], {"id": row["prompt"], "prompt": row["prompt"], "responses": []}
        )
        for text in (row["chosen"], row["rejected"]):
            if all(text != known["text"] for known in prompt["responses"]):
                prompt["responses"].append({"text": text})
    (folder / "responses.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts.values()))
    rubric = {"kind": "rubric", "engine": "smol", "rubric": "rubrics/extracted.yaml"}
    config = {
        "engines": {
            "smol": {
                "kind": "openai", "url": server.url, "model": "m", "tokenizer": str(server.model), "concurrency": 32,
            }
        },
        "ingest": [{"source": "responses.jsonl"}],
        "judge": {
            "judges": [
                {"name": "asked", **rubric},
                {"name": "written", **rubric, "ask": "json", "batch": 4, "reasons": True},
            ]
        },
        "rubric": {
            "extract": {
                "engine": "smol", "labels": "pairs.jsonl", "consistency": 0, "rounds": 1, "criteria": 4,
                "methods": METHODS, "longest": 120,
                "max_tokens": 512,
            }
        },
    }  # fmt: skip
    (folder / "curate.yaml").write_text(yaml.safe_dump(config))


def run(folder: Path, *arguments: str) -> str:
    began = time.monotonic()
    code = "from curate.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "160", "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"curate {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
    print(f"curate {' '.join(arguments)}: {time.monotonic() - began:.0f} s", flush=True)
    return done.stdout


def report(folder: Path) -> None:
    """Print what became of all requests, by the lake."""
    queries = {
        "extraction": "SELECT step, count(*) AS calls, count(*) FILTER (outcome = 'failed') AS failed, "
        "any_value(reason) AS reason, sum(tokens_out) AS tokens_out FROM rubric_calls GROUP BY 1 ORDER BY 1",
        "verdicts": "SELECT annotator_id, count(*) AS verdicts, count(*) FILTER (outcome = 'failed') AS failed, "
        "round(avg((outcome = 'satisfied')::INT), 3) AS satisfied FROM criterion_verdicts GROUP BY 1 ORDER BY 1",
        "judgments": "SELECT annotator_id, outcome, count(*) AS rows FROM judgments GROUP BY ALL ORDER BY ALL",
    }
    with Lake.open(load_config(folder / "curate.yaml").location) as lake:
        for name, query in queries.items():
            print(f"\n{name}")
            print(pl.from_arrow(lake.arrow(query)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--keep", type=Path, help="folder in which the project stays")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary) / "project"
        folder.mkdir(parents=True, exist_ok=True)
        model = save_smollm(Path(temporary) / "model")
        server = Served(
            model, (*GRAMMAR, "--max-model-len", "4096", "--dtype", "bfloat16"), folder / "vllm.log"
        )
        try:
            server.start()
            server.wait()
            write_project(folder, read_pairs(given.data, given.pairs), server)
            print(run(folder, "rubric", "extract"))
            for command in ("ingest", "judge"):
                run(folder, command)
        finally:
            server.kill()
        report(folder)


if __name__ == "__main__":
    main()
