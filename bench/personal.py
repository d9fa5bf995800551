"""What it brings to know who votes: one reward for all against prototypes in personal shares (PAL).

UKPConvArg1's crowd votes (ties left out) on frozen MiniLM embeddings. A third of the topics is held back; accuracy
there is on the votes of annotators with 20 or more votes to learn from, with the 95 % interval of a bootstrap over
annotators. For strangers, 100 such annotators are left out of the fit and learnt from 10 or 20 votes. Settings are
those that were best on another third of the topics (`--choose`). Run: `python bench/personal.py [--choose]`.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from noise import DATA, EMBEDDER, share
from numpy.typing import NDArray

from curate.engine.local.embeddings import CachedEmbedder
from curate.train.personal import Personal, Settings, Votes, fit

Float32 = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--choose", action="store_true")
    options = parser.parse_args()
    features, votes, names, part = read()
    lengths = features[:, -1:].copy()
    features = features[:, :-1].copy()
    held, seen = part == (1 if options.choose else 0), part == 2 if options.choose else part != 0
    counts = np.bincount(votes.annotator[seen], minlength=len(names))
    asked = taken(votes, held & (counts[votes.annotator] >= 20))
    told = taken(votes, seen)
    print(
        f"{len(told.first)} votes to learn from, {len(asked.first)} of {len(set(asked.annotator))} known people"
    )
    print("longer wins       {:.4f} [{:.4f}, {:.4f}]".format(*interval(right(lengths[:, 0], asked), asked)))
    grid = itertools.product((1, 4), (3e-4, 1e-3, 3e-3)) if options.choose else ((1, 3e-3), (4, 3e-3))
    agreed = {}
    for kinds, shrink in grid:
        model = fit(features, told, names, Settings(prototypes=kinds, shrink=shrink))
        agreed[kinds] = personal(model, features, asked)
        figures = interval(agreed[kinds], asked)
        print(f"{kinds} prototypes, {shrink:g} " + "{:.4f} [{:.4f}, {:.4f}]".format(*figures), flush=True)
    if not options.choose:
        gain = interval(agreed[4] - agreed[1], asked)
        print("4 less 1          {:+.4f} [{:+.4f}, {:+.4f}]".format(*gain))
        strangers(features, told, asked, names)


def strangers(features: Float32, told: Votes, asked: Votes, names: list[str]) -> None:
    known = np.unique(asked.annotator)
    new = np.random.default_rng(0).permutation(known)[:100]
    model = fit(features, taken(told, ~np.isin(told.annotator, new)), names)
    theirs = taken(asked, np.isin(asked.annotator, new))
    stranger = right(model.score(features, None), theirs)
    print("strangers         {:.4f} [{:.4f}, {:.4f}]".format(*interval(stranger, theirs)))
    for few in (10, 20):
        agreed = np.empty(len(theirs.first))
        for who in new:
            own = np.flatnonzero(told.annotator == who)[:few]
            mine = theirs.annotator == who
            learnt = model.with_annotator("new", features, taken(told, own))
            agreed[mine] = right(learnt.score(features, "new"), taken(theirs, mine))
        gain = interval(agreed - stranger, theirs)
        print(f"with {few} votes     " + "{:+.4f} [{:+.4f}, {:+.4f}]".format(*gain))


def read() -> tuple[Float32, Votes, list[str], NDArray[np.int64]]:
    """Features of the arguments (last: log length), votes on them, names, and which third each vote's topic is in."""
    folder = DATA / "ukpconvarg1"
    texts = dict(pl.read_parquet(folder / "arguments.parquet").select("arg_id", "text").iter_rows())
    pairs = pl.read_parquet(folder / "pairs.parquet").select("pair_id", "topic", "arg_a", "arg_b")
    rows = pl.read_parquet(folder / "votes.parquet").filter(pl.col("verdict").is_in(["A", "B"]))
    rows = rows.join(pairs, on="pair_id", maintain_order="left")
    embedder = CachedEmbedder(EMBEDDER, cache=Path(tempfile.gettempdir()) / "curate-bench")
    at = {name: number for number, name in enumerate(texts)}
    vectors = embedder.embed(list(texts.values()))
    scaled = vectors * np.float32(0.5 * np.sqrt(vectors.shape[1]))
    lengths = np.log([[len(text)] for text in texts.values()]).astype(np.float32)
    names = sorted(set(rows["worker"]))
    number = {name: place for place, name in enumerate(names)}
    votes = Votes(
        annotator=np.array([number[name] for name in rows["worker"]]),
        first=np.array([at[name] for name in rows["arg_a"]]),
        second=np.array([at[name] for name in rows["arg_b"]]),
        p_first=(rows["verdict"] == "A").to_numpy().astype(np.float64),
    )
    part = np.array([share(topic) // 2 % 3 for topic in rows["topic"]])
    return np.concatenate([scaled, lengths], axis=1), votes, names, part


def taken(votes: Votes, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Votes:
    return Votes(**{each.name: getattr(votes, each.name)[rows] for each in dataclasses.fields(Votes)})


def personal(model: Personal, features: Float32, votes: Votes) -> NDArray[np.float64]:
    scores = features @ model.prototypes
    margins = scores[votes.first] - scores[votes.second]
    logits = model.common + model.own[votes.annotator]
    mixed = np.exp(logits - logits.max(axis=1, keepdims=True))
    return agreement((margins * mixed).sum(axis=1), votes)


def right(scores: NDArray[np.floating], votes: Votes) -> NDArray[np.float64]:
    return agreement(scores[votes.first] - scores[votes.second], votes)


def agreement(margins: NDArray[np.floating], votes: Votes) -> NDArray[np.float64]:
    return np.asarray(0.5 + 0.5 * np.sign(margins * (votes.p_first - 0.5)))


def interval(values: NDArray[np.float64], votes: Votes) -> tuple[float, float, float]:
    """Mean over votes, and its 95 % interval by 2,000 bootstrap draws of annotators."""
    _, who = np.unique(votes.annotator, return_inverse=True)
    sums, counts = np.bincount(who, values), np.bincount(who)
    draws = np.random.default_rng(0).integers(len(counts), size=(2000, len(counts)))
    low, high = np.quantile(sums[draws].sum(axis=1) / counts[draws].sum(axis=1), (0.025, 0.975))
    return float(values.mean()), float(low), float(high)


if __name__ == "__main__":
    main()
