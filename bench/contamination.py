"""Leaks of a benchmark planted in 100,000 real texts: how many `contamination` finds, and how often it is wrong.

    python bench/contamination.py --rows 100000

The benchmark: the questions of AlpacaEval that have 20 words or more, without those that it took from HH-RLHF. The
rows: turns of the HH-RLHF test set, one or two to a row. 200 leaks: the question as it is within another text, a run of 13
words of it, and the question with one word in twelve replaced by another one. The data is looked for at ../shared/data
beside the checkout.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import polars as pl

from curate.filter import Item, Items, open_filters

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LEAKS = 200


def read_pool() -> list[str]:
    turns = pl.read_parquet(DATA / "hh_rlhf_test" / "pairs.parquet")
    texts = [text for column in ("prompt", "chosen", "rejected") for text in turns[column].to_list()]
    pool = {
        part.strip() for text in texts for part in re.split(r"\n\n(?:Human|Assistant):", text) if part.strip()
    }
    return sorted(pool)


def plant(question: str, kind: str, rng: random.Random, other: str) -> str:
    words = question.split()
    if kind == "exact":
        return f"{other}\n\n{question}"
    if kind == "13 words":
        start = rng.randrange(len(words) - 12)
        return f"{other} {' '.join(words[start : start + 13])} {other[:80]}"
    for place in rng.sample(range(len(words)), max(1, len(words) // 12)):
        words[place] = rng.choice(["thing", "maybe", "further", "such", "overall"])
    return " ".join(words)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    if not DATA.is_dir():
        sys.exit("The data is not at ../shared/data.")
    rng = random.Random(7)
    table = pl.read_parquet(DATA / "alpaca_eval_nway" / "prompts.parquet")
    questions = table.filter(pl.col("dataset") != "helpful_base")["prompt"].to_list()
    questions = [question for question in questions if len(question.split()) >= 20]
    pool = read_pool()
    texts = [" ".join(rng.choices(pool, k=rng.randint(1, 2))) for _ in range(rows)]
    kinds = {
        place: ["exact", "13 words", "paraphrased"][at % 3]
        for at, place in enumerate(rng.sample(range(rows), LEAKS))
    }
    for place, kind in kinds.items():
        texts[place] = plant(rng.choice(questions), kind, rng, rng.choice(pool))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "alpaca_eval.jsonl"
        file.write_text(
            "".join(json.dumps({"instruction": text}) + "\n" for text in questions), encoding="utf-8"
        )
        (leaks,) = open_filters(
            [{"name": "leaks", "kind": "contamination", "against": [file.name]}], folder=Path(folder)
        )
        items = [Item(str(at), str(at), text, "s") for at, text in enumerate(texts)]
        started = time.perf_counter()
        decisions = list(leaks.filter.find(Items(lambda: iter(items), len(items))))
        seconds = time.perf_counter() - started
    places = {int(decision.item.id): decision for decision in decisions}
    print(f"{rows:,} rows, {len(questions)} questions, {seconds:.1f} s, {rows / seconds:,.0f} rows/s")
    for kind, number in Counter(kinds.values()).items():
        hits = sum(place in places for place, planted in kinds.items() if planted == kind)
        print(f"{kind:12} {hits}/{number} found")
    alarms = [decision for place, decision in places.items() if place not in kinds]
    print(f"{len(alarms)} rows beside them: {dict(Counter(decision.reason for decision in alarms))}")
    for decision in alarms[:8]:
        print(f"  {decision.score:.2f} {decision.item.text[:150]!r}")


if __name__ == "__main__":
    main()
