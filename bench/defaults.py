"""Measure the labels of the defaults: LLMBar's panels through the commands, with people's labels on some pairs.

    PYTHONPATH=. python bench/defaults.py [--draws 5] [--labels 0 20 40] [--method denoise-then-ensemble]

Each draw is a project of its own: `curate init`, the rows as files under `ingest`, then `curate ingest` and
`curate aggregate`. The share of right labels is that among the pairs without a person's verdict; a tie counts half.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import panels
import polars as pl
import yaml

from curate.config.project import load_config
from curate.lake.lake import Lake

PANELS: dict[str, tuple[str, Callable[[str], bool]]] = {
    "adversarial": ("Adversarial", lambda judge: True),
    "adversarial, no GPT-4": ("Adversarial", panels.without_gpt4),
    "adversarial, vanilla prompts": ("Adversarial", panels.vanilla),
    "natural": ("Natural", lambda judge: True),
}


def run_command(folder: Path, *arguments: str) -> str:
    """Run `curate` in a folder; returns what it printed."""
    command = [sys.executable, "-c", "from curate.cli.app import main; main()", *arguments]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"curate {' '.join(arguments)} ended with {ended.returncode}: {ended.stderr}")
    return ended.stdout


def write_lines(path: Path, rows: Iterable[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_project(folder: Path, subset: str, keep: Callable[[str], bool], labelled: set[str]) -> pl.DataFrame:
    """Write a project as `curate init` does, with LLMBar's rows; returns the items (item_id, gold)."""
    run_command(folder.parent, "init", folder.name)
    items = pl.read_parquet(panels.DATA / "llmbar" / "items.parquet")
    items = items.filter(pl.col("subset").str.contains(subset)).sort("item_id")
    verdicts = pl.read_parquet(panels.DATA / "llmbar" / "verdicts.parquet")
    verdicts = verdicts.filter(
        pl.col("verdict") != "invalid", pl.col("item_id").is_in(items["item_id"].implode())
    )
    write_lines(
        folder / "responses.jsonl",
        (
            {
                "id": row["item_id"],
                "prompt": row["prompt"],
                "responses": [{"id": "a", "text": row["response_a"]}, {"id": "b", "text": row["response_b"]}],
            }
            for row in items.iter_rows(named=True)
        ),
    )
    pair = {"a": "a", "b": "b"}
    said = (
        {
            "prompt": row["item_id"],
            **pair,
            "annotator": row["judge"],
            "kind": "llm",
            "shown": row["order"].lower(),
            "winner": row["verdict"].lower(),
        }
        for row in verdicts.iter_rows(named=True)
        if keep(row["judge"])
    )
    people = (
        {"prompt": item, **pair, "annotator": "ann", "kind": "human", "winner": gold.lower()}
        for item, gold in items.select("item_id", "gold").iter_rows()
        if item in labelled
    )
    write_lines(folder / "judges.jsonl", said)
    write_lines(folder / "people.jsonl", people)
    settings = yaml.safe_load((folder / "curate.yaml").read_text(encoding="utf-8"))
    settings["ingest"] += [{"source": name, "kind": "judgments"} for name in ("judges.jsonl", "people.jsonl")]
    (folder / "curate.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return items.select("item_id", "gold")


def set_method(folder: Path, method: str) -> None:
    settings = yaml.safe_load((folder / "curate.yaml").read_text(encoding="utf-8"))
    settings["aggregate"]["method"] = method
    (folder / "curate.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def share_right(folder: Path, gold: dict[str, str], labelled: set[str]) -> float:
    """Of the pairs without a person's verdict, the share whose label is the gold's."""
    query = (
        "SELECT prompts.key, a.key, outcome FROM final_preferences "
        "JOIN prompts USING (prompt_id) JOIN responses AS a ON a.response_id = response_a"
    )
    with Lake.open(load_config(folder / "curate.yaml").location, read_only=True) as lake:
        rows = lake.rows(query)
    credit = []
    for item, first, outcome in rows:
        if item in labelled:
            continue
        wins = {"a": "A" if first == "a" else "B", "b": "B" if first == "a" else "A", "tie": ""}[outcome]
        credit.append(0.5 if outcome == "tie" else float(wins == gold[item]))
    return float(np.mean(credit))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--labels", type=int, nargs="+", default=[0, 20, 40])
    parser.add_argument("--only", default="", help="only panels whose name is, or contains, this")
    parser.add_argument("--method", help="in place of the one that `curate init` writes")
    arguments = parser.parse_args()
    if not panels.DATA.exists():
        sys.exit("The recorded panels are not at ../shared/data.")
    for name, (subset, keep) in PANELS.items():
        if arguments.only not in name:
            continue
        for labels in arguments.labels:
            right: list[float] = []
            for draw in range(arguments.draws if labels else 1):
                with tempfile.TemporaryDirectory() as parent:
                    folder = Path(parent) / "project"
                    right.append(measure(folder, subset, keep, labels, draw, arguments.method))
            print(
                f"{name:30s} {labels:3d} labels  {len(right)} draws  right {np.mean(right):.3f} "
                f"(least {min(right):.3f})",
                flush=True,
            )


def measure(
    folder: Path, subset: str, keep: Callable[[str], bool], labels: int, draw: int, method: str | None = None
) -> float:
    """One draw of labels; prints what `curate aggregate` says of it."""
    rng = np.random.default_rng(draw)
    items = pl.read_parquet(panels.DATA / "llmbar" / "items.parquet")
    names = items.filter(pl.col("subset").str.contains(subset))["item_id"].sort().to_list()
    labelled = {names[k] for k in rng.permutation(len(names))[:labels]}
    gold = dict(write_project(folder, subset, keep, labelled).iter_rows())
    if method:
        set_method(folder, method)
    run_command(folder, "ingest")
    said = run_command(folder, "aggregate")
    if draw == 0:
        print("\n".join(f"  {line}" for line in said.splitlines() if line.strip()))
    return share_right(folder, gold, labelled)


if __name__ == "__main__":
    main()
