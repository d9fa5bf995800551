"""Recorded panels with gold, as `Votes`: what the accuracy benchmark and its tests read.

The data lie at ../shared/data beside the repository and are not part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.aggregate.votes import Votes

DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPanel:
    """`votes`; `gold` float64[Q] in -1, 0 (tie), 1, NaN (none) for pairs sorted by (a, b), as fits return
    them; `strict` bool[Q] marks a subset; `author` int32[R] who wrote each response, where known."""

    name: str
    votes: Votes
    a: NDArray[np.int32]
    b: NDArray[np.int32]
    gold: NDArray[np.float64]
    strict: NDArray[np.bool_]
    author: NDArray[np.int32] | None = None


def build(
    name: str,
    prompts: Sequence[str],
    responses: Sequence[tuple[str, str]],
    rows: Sequence[tuple[str, str, str, str, int, int]],
    gold: dict[tuple[str, str, str], float],
    strict: frozenset[tuple[str, str, str]] = frozenset(),
    authors: Sequence[str] | None = None,
) -> RecordedPanel:
    """`responses` (prompt, key) sorted by prompt; `rows` (prompt, x, y, annotator, shown, outcome) where
    `shown` is +1 if x was first and `outcome` +1 if x won; `gold` in the same frame."""
    number = {prompt: i for i, prompt in enumerate(prompts)}
    index = {response: i for i, response in enumerate(responses)}
    per_prompt = np.bincount([number[p] for p, _ in responses], minlength=len(prompts))
    names = sorted({row[3] for row in rows})
    who = {annotator: i for i, annotator in enumerate(names)}
    flat = []
    for prompt, x, y, annotator, shown, outcome in rows:
        i, j = index[prompt, x], index[prompt, y]
        side = 1 if i < j else -1
        flat.append((number[prompt], min(i, j), max(i, j), who[annotator], side * shown, side * outcome))
    table = np.array(flat, np.int64)
    table = table[np.lexsort((table[:, 3], table[:, 2], table[:, 1], table[:, 0]))]
    votes = Votes(
        offsets=np.concatenate([[0], np.cumsum(per_prompt)]).astype(np.int64),
        prompt=table[:, 0].astype(np.int32),
        a=table[:, 1].astype(np.int32),
        b=table[:, 2].astype(np.int32),
        annotator=table[:, 3].astype(np.int32),
        shown=table[:, 4].astype(np.int8),
        outcome=table[:, 5].astype(np.int8),
        p_a=((table[:, 5] + 1) / 2).astype(np.float32),
        annotators=tuple(names),
        human=np.zeros(len(names), np.bool_),
    )
    pairs = np.unique(table[:, 1:3], axis=0)
    known = {}
    for (prompt, x, y), value in gold.items():
        i, j = index[prompt, x], index[prompt, y]
        known[min(i, j), max(i, j)] = (value if i < j else -value, (prompt, x, y) in strict)
    found = [known.get((int(i), int(j)), (np.nan, False)) for i, j in pairs]
    order = {author: i for i, author in enumerate(sorted(set(authors)))} if authors else {}
    return RecordedPanel(
        name=name,
        votes=votes,
        a=pairs[:, 0].astype(np.int32),
        b=pairs[:, 1].astype(np.int32),
        gold=np.array([f[0] for f in found]),
        strict=np.array([f[1] for f in found]),
        author=np.array([order[x] for x in authors], np.int32) if authors else None,
    )


def llmbar(name: str, subset: str, keep: Callable[[str], bool] = lambda judge: True) -> RecordedPanel:
    """One pair a prompt; judges in both orders; `keep` chooses judges by name ('model/strategy')."""
    verdicts = pl.read_parquet(DATA / "llmbar" / "verdicts.parquet").filter(pl.col("verdict") != "invalid")
    items = pl.read_parquet(DATA / "llmbar" / "items.parquet").filter(pl.col("subset").str.contains(subset))
    prompts = items["item_id"].sort().to_list()
    inside = set(prompts)
    rows = [
        (item, "a", "b", judge, 1 if order == "AB" else -1, 1 if verdict == "A" else -1)
        for item, judge, order, verdict in verdicts.select("item_id", "judge", "order", "verdict").iter_rows()
        if item in inside and keep(judge)
    ]
    gold = {(i, "a", "b"): 1.0 if g == "A" else -1.0 for i, g in items.select("item_id", "gold").iter_rows()}
    return build(name, prompts, [(p, r) for p in prompts for r in "ab"], rows, gold)


def prd(name: str = "PRD Vicuna80") -> RecordedPanel:
    """40 or more prompts × 5 models, all pairs, 5 judges in both orders; gold is the sign of people's
    votes."""
    folder = DATA / "prd_vicuna80"
    verdicts = pl.read_parquet(folder / "judge_verdicts.parquet").with_columns(
        pl.col("question_id").cast(str)
    )
    gold_rows = pl.read_parquet(folder / "gold.parquet").with_columns(pl.col("question_id").cast(str))
    models = sorted(verdicts["model_first"].unique())
    prompts = sorted(verdicts["question_id"].unique())
    rows = [
        (q, first, second, judge, 1, 1 if winner == first else -1 if winner == second else 0)
        for q, first, second, judge, winner in verdicts.select(
            "question_id", "model_first", "model_second", "judge", "winner"
        ).iter_rows()
    ]
    gold = {
        (q, x, y): 1.0 if g == x else -1.0 if g == y else 0.0
        for q, x, y, g in gold_rows.select("question_id", "model_1", "model_2", "gold").iter_rows()
    }
    responses = [(p, m) for p in prompts for m in models]
    return build(name, prompts, responses, rows, gold, authors=[m for _, m in responses])


def pandalm(name: str = "PandaLM") -> RecordedPanel:
    """Pairs of 5 tuned models, two judges in the order stored; gold is the majority of three people."""
    items = pl.read_parquet(DATA / "pandalm" / "items.parquet").with_columns(
        prompt=pl.col("instruction") + "\n" + pl.col("input").fill_null("")
    )
    items = items.unique(["prompt", "model_a", "model_b"], maintain_order=True)
    side = {"A": 1, "B": -1, "tie": 0}
    prompts = sorted(items["prompt"].unique())
    models = sorted(set(items["model_a"]) | set(items["model_b"]))
    rows, gold = [], {}
    for p, x, y, people, *said in items.select(
        "prompt", "model_a", "model_b", "human_majority", "gpt35", "pandalm7b"
    ).iter_rows():
        rows += [
            (p, x, y, j, 1, side[v]) for j, v in zip(("gpt35", "pandalm7b"), said, strict=True) if v in side
        ]
        if people in side:
            gold[p, x, y] = float(side[people])
    responses = [(p, m) for p in prompts for m in models]
    return build(name, prompts, responses, rows, gold, authors=[m for _, m in responses])


def ukp(name: str = "UKPConvArg1") -> RecordedPanel:
    """32 topics, arguments as responses, five crowd votes a pair; gold is MACE over these same votes."""
    folder = DATA / "ukpconvarg1"
    pairs = pl.read_parquet(folder / "pairs.parquet")
    votes = pl.read_parquet(folder / "votes.parquet").join(
        pairs.select("pair_id", "topic", "arg_a", "arg_b"), on="pair_id"
    )
    side = {"A": 1, "B": -1, "tie": 0}
    prompts = sorted(pairs["topic"].unique())
    keys = {(t, x) for t, a, b in pairs.select("topic", "arg_a", "arg_b").iter_rows() for x in (a, b)}
    rows = [
        (t, a, b, worker, 1, side[v])
        for t, a, b, worker, v in votes.select("topic", "arg_a", "arg_b", "worker", "verdict").iter_rows()
    ]
    labelled = pairs.filter(pl.col("gold").is_not_null())
    gold = {
        (t, a, b): float(side[g])
        for t, a, b, g in labelled.select("topic", "arg_a", "arg_b", "gold").iter_rows()
    }
    strict = frozenset(labelled.filter("in_strict").select("topic", "arg_a", "arg_b").iter_rows())
    return build(name, prompts, sorted(keys), rows, gold, strict)


def without_gpt4(judge: str) -> bool:
    return not judge.startswith("GPT-4/")


def vanilla(judge: str) -> bool:
    return judge.endswith("/Vanilla")
