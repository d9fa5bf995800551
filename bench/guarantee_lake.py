"""Is the guarantee kept from files to the lake? UKP and PRD with the settings of `curate init`, many draws of labels.

    PYTHONPATH=. python bench/guarantee_lake.py [--draws 100] [--commands 5] [--labels 200] [--only ukp] [--minutes 10]

Each draw is a project of its own with a person's verdicts (the gold's) on random pairs. It is labelled by the functions
that `curate ingest` and `curate aggregate` call; the first `--commands` draws are labelled by the commands too, in
another copy of the project, and every row of `preferences` must be the same. Counted is the share of wrong ones among
accepted labels of pairs that the person was not asked about, which may be above alpha in delta of the draws. With
`--minutes`, no further draw of a data set begins after so many.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import defaults
import numpy as np
import panels
import polars as pl
import yaml

from curate.aggregate import aggregate_judgments
from curate.config.project import load_config
from curate.ingest import ingest_sources
from curate.lake.lake import Lake
from curate.stats.intervals import wilson_interval

ALPHA = 0.1  # what `curate init` writes
Pair = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Material:
    """Rows of responses and judgments, and the gold by (prompt, a, b): a, b or tie."""

    responses: list[dict[str, object]]
    judgments: list[dict[str, object]]
    gold: dict[Pair, str]


def read_prd() -> Material:
    folder = panels.DATA / "prd_vicuna80"
    responses = [
        {
            "id": str(question),
            "prompt": prompt,
            "responses": [
                {"id": model, "text": text, "model": model} for model, text in texts.items() if text
            ],
        }
        for question, prompt, texts in pl.read_parquet(folder / "responses.parquet")
        .select("question_id", "prompt", "responses")
        .iter_rows()
    ]
    side = {True: "a", False: "b"}
    judgments = [
        {
            "prompt": str(question),
            "a": first,
            "b": second,
            "annotator": judge,
            "kind": "llm",
            "shown": "ab",
            "winner": side[winner == first] if winner in (first, second) else "tie",
        }
        for question, first, second, judge, winner in pl.read_parquet(folder / "judge_verdicts.parquet")
        .select("question_id", "model_first", "model_second", "judge", "winner")
        .iter_rows()
    ]
    gold = {
        (str(question), one, other): "a" if winner == one else "b" if winner == other else "tie"
        for question, one, other, winner in pl.read_parquet(folder / "gold.parquet")
        .select("question_id", "model_1", "model_2", "gold")
        .iter_rows()
    }
    return Material(responses, judgments, gold)


def read_ukp() -> Material:
    folder = panels.DATA / "ukpconvarg1"
    side = {"A": "a", "B": "b", "tie": "tie"}
    texts = pl.read_parquet(folder / "arguments.parquet").select("topic", "arg_id", "text")
    responses = [
        {
            "id": topic,
            "prompt": topic,
            "responses": [{"id": name, "text": text} for name, text in zip(names, found, strict=True)],
        }
        for topic, names, found in texts.group_by("topic", maintain_order=True).agg(pl.all()).iter_rows()
    ]
    pairs = pl.read_parquet(folder / "pairs.parquet")
    votes = pl.read_parquet(folder / "votes.parquet").join(
        pairs.select("pair_id", "topic", "arg_a", "arg_b"), on="pair_id", suffix="_of_pair"
    )
    judgments = [
        {
            "prompt": topic,
            "a": a,
            "b": b,
            "annotator": worker,
            "kind": "imported",
            "winner": side[verdict],
        }
        for topic, a, b, worker, verdict in votes.select(
            "topic", "arg_a", "arg_b", "worker", "verdict"
        ).iter_rows()
    ]
    gold = {
        (topic, a, b): side[winner]
        for topic, a, b, winner in pairs.filter(pl.col("gold").is_not_null())
        .select("topic", "arg_a", "arg_b", "gold")
        .iter_rows()
    }
    return Material(responses, judgments, gold)


def write_base(parent: Path, material: Material) -> Path:
    """Write a project with the panel, taken in, whose curate.yaml waits for people.jsonl."""
    folder = parent / "base"
    defaults.run_command(parent, "init", folder.name)
    defaults.write_lines(folder / "responses.jsonl", material.responses)
    defaults.write_lines(folder / "judges.jsonl", material.judgments)
    defaults.write_lines(folder / "people.jsonl", [])
    settings = yaml.safe_load((folder / "curate.yaml").read_text(encoding="utf-8"))
    settings["ingest"] += [{"source": name, "kind": "judgments"} for name in ("judges.jsonl", "people.jsonl")]
    (folder / "curate.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    defaults.run_command(folder, "ingest")
    return folder


def choose_people(material: Material, labels: int, draw: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(draw)
    pairs = sorted(material.gold)
    return [
        {
            "prompt": prompt,
            "a": a,
            "b": b,
            "annotator": "person",
            "kind": "human",
            "winner": material.gold[prompt, a, b],
        }
        for prompt, a, b in (pairs[k] for k in rng.permutation(len(pairs))[:labels])
    ]


def label(folder: Path, *, commands: bool) -> list[tuple[object, ...]]:
    """Take the verdicts in and aggregate; the rows of `preferences` with the caller's keys."""
    config = load_config(folder / "curate.yaml")
    if commands:
        defaults.run_command(folder, "ingest")
        defaults.run_command(folder, "aggregate")
    else:
        with Lake.open(config.location) as lake:
            ingest_sources(lake, config)
            aggregate_judgments(lake, config)
    with Lake.open(config.location, read_only=True) as lake:
        return lake.rows(
            "SELECT prompts.key, a.key, b.key, outcome, status, p_a, (SELECT holds FROM assessments) "
            "FROM final_preferences JOIN prompts USING (prompt_id) "
            "JOIN responses AS a ON a.response_id = response_a "
            "JOIN responses AS b ON b.response_id = response_b ORDER BY ALL"
        )


def measure(
    rows: list[tuple[object, ...]], material: Material, people: set[Pair]
) -> tuple[bool, float, float]:
    """Whether there is a guarantee, the share of pairs accepted, and the share of these that are wrong."""
    right: list[bool] = []
    open_pairs = 0
    holds = False
    for prompt, a, b, outcome, status, _, promised in rows:
        holds = bool(promised)
        pair = (str(prompt), str(a), str(b))
        turned = (pair[0], pair[2], pair[1])
        key = pair if pair in material.gold else turned
        gold = material.gold.get(key)
        if gold in (None, "tie") or key in people:
            continue
        open_pairs += 1
        if status in ("accepted", "flipped") and outcome != "tie":
            said = outcome if key == pair else {"a": "b", "b": "a"}[str(outcome)]
            right.append(said == gold)
    return holds, len(right) / max(open_pairs, 1), 1 - float(np.mean(right)) if right else 0.0


def run_draws(
    name: str, material: Material, arguments: argparse.Namespace
) -> Iterator[tuple[bool, float, float]]:
    with tempfile.TemporaryDirectory() as parent:
        base = write_base(Path(parent), material)
        started = time.perf_counter()
        for draw in range(arguments.draws):
            if time.perf_counter() - started > arguments.minutes * 60:
                return
            people = choose_people(material, arguments.labels, draw)
            results = []
            for commands in (False, True) if draw < arguments.commands else (False,):
                folder = Path(parent) / "draw"
                shutil.copytree(base, folder)
                defaults.write_lines(folder / "people.jsonl", people)
                results.append(label(folder, commands=commands))
                shutil.rmtree(folder)
            if any(rows != results[0] for rows in results):
                sys.exit(f"{name}, draw {draw}: the commands give other labels than their functions")
            asked = {(str(row["prompt"]), str(row["a"]), str(row["b"])) for row in people}
            found = measure(results[0], material, asked)
            print(
                f"{name} {draw}: holds {found[0]}, accepted {found[1]:.1%}, wrong {found[2]:.1%}", flush=True
            )
            yield found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--commands", type=int, default=5)
    parser.add_argument("--labels", type=int, default=200)
    parser.add_argument("--only", default="")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    arguments = parser.parse_args()
    if not panels.DATA.exists():
        sys.exit("The recorded panels are not at ../shared/data.")
    for name, read in (("prd", read_prd), ("ukp", read_ukp)):
        if arguments.only not in name:
            continue
        started = time.perf_counter()
        draws = list(run_draws(name, read(), arguments))
        false = sum(holds and wrong > ALPHA for holds, _, wrong in draws)
        low, high = wilson_interval(false, len(draws))
        holding = [shipped for holds, shipped, _ in draws if holds]
        print(
            f"{name}: {len(draws)} draws of {arguments.labels} labels, {len(holding)} with a guarantee, accepted "
            f"{np.mean(holding) if holding else 0:.1%} of the pairs; false {false} ({low:.1%} to {high:.1%}); "
            f"{min(arguments.commands, len(draws))} draws by the commands: equal rows; "
            f"{time.perf_counter() - started:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
