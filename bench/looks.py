"""Is the promise kept at every look, and what does that cost? `bench/guarantee.py --looks`.

A look after every 5 labels up to 1,000, at alpha = delta = .1. Labels come at random without replacement from 20,000
pairs of one confidence, so that nothing helps the test. Beside it: Clopper-Pearson asked again at each look, which is
wrong more often than delta, and Clopper-Pearson for one look with the number of labels fixed before (a promise with
probability .8).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from curate.stats.anytime import certify_anytime, compute_gains, grow_wealth
from curate.stats.guarantee import clopper_pearson, count_labels_needed
from curate.stats.intervals import wilson_interval

Int8 = NDArray[np.int8]
ALPHA = DELTA = 0.1
PAIRS, MOST, STEP = 20_000, 1_000, 5
Look = Callable[[Int8], int | None]


def draw_labels(rate: float, rng: np.random.Generator, most: int = MOST) -> Int8:
    """Draw labels without replacement from pairs of which exactly a share `rate` is wrong: 1 agrees, -1 does not."""
    order = rng.permutation(PAIRS)[:most]
    return np.where(order < round(rate * PAIRS), -1, 1).astype(np.int8)


def look_anytime(agrees: Int8, wealth: float = 1.0) -> int | None:
    """Find the look at which `curate aggregate` first promises something; None: never."""
    path = np.maximum.accumulate(grow_wealth(compute_gains(agrees, ALPHA), PAIRS, ALPHA))
    confidence = np.full(PAIRS, 0.9)
    for n in range(STEP, len(agrees) + 1, STEP):
        if path[n] * wealth >= 1 / DELTA:  # below, nothing can be promised
            test = certify_anytime(
                confidence, np.arange(n), agrees[:n], alpha=ALPHA, delta=DELTA, wealth=wealth
            )
            if test.guarantee.strata[0].holds:
                return n
    return None


def look_naively(agrees: Int8) -> int | None:
    """Find the look at which the bound of one look, asked again and again, first promises something."""
    errors = np.cumsum(agrees < 0)
    for n in range(STEP, len(agrees) + 1, STEP):
        if errors[n - 1] <= n * ALPHA and clopper_pearson(int(errors[n - 1]), n, DELTA)[1] <= ALPHA:
            return n
    return None


def look_with_new_panels(rate: float, rng: np.random.Generator, every: int = 200) -> int | None:
    """Find the first promise where the panel is changed every 200 labels, and never gets better."""
    wealth = 1.0
    for begun in range(0, MOST, every):
        agrees = draw_labels(rate, rng, every)
        found = look_anytime(agrees, wealth)
        if found is not None:
            return begun + found
        wealth *= min(1.0, float(grow_wealth(compute_gains(agrees, ALPHA), PAIRS, ALPHA)[-1]))
    return None


def run_looks(draws: int, first_seed: int) -> None:
    """Print both tables."""
    started = time.perf_counter()
    print(f"alpha = delta = {ALPHA}; a look after every {STEP} labels up to {MOST:,}; {draws} draws\n")
    print("error   looks                          false promise at some look (95 % interval)")
    seeds = range(first_seed, first_seed + draws)
    for rate in (0.11, 0.12):
        rows: dict[str, list[int | None]] = {
            "curate": [look_anytime(draw_labels(rate, np.random.default_rng(seed))) for seed in seeds],
            "curate, new panel every 200": [
                look_with_new_panels(rate, np.random.default_rng(seed)) for seed in seeds
            ],
            "Clopper-Pearson at each look": [
                look_naively(draw_labels(rate, np.random.default_rng(seed))) for seed in seeds
            ],
        }
        for name, found in rows.items():
            false = sum(look is not None for look in found)
            low, high = wilson_interval(false, draws)
            print(f" {rate:.2f}   {name:28s}  {false / draws:6.1%}  ({low:.1%} to {high:.1%})", flush=True)
    print("\nerror   labels until a promise: mean  median   80 %   one look   mean / one look")
    for rate in (0.02, 0.04, 0.06):
        needed = [look_anytime(draw_labels(rate, np.random.default_rng(seed), 2 * MOST)) for seed in seeds]
        labels = np.array([2 * MOST if look is None else look for look in needed])
        one = count_labels_needed(rate, alpha=ALPHA, delta=DELTA)
        assert one is not None
        print(
            f" {rate:.2f}  {'':24s}{labels.mean():6.0f}  {np.median(labels):6.0f} {np.quantile(labels, 0.8):6.0f}"
            f"     {one:6d}   {labels.mean() / one:6.2f}",
            flush=True,
        )
    print(f"\n{time.perf_counter() - started:.0f} s")
