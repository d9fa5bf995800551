"""Aggregation in shards beside the same in one process: the same labels, and the time.

python bench/shards.py                          # 2 million judgments; Dask and Ray where they are installed
python bench/shards.py --judgments 16000000 --only dask
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from synthetic_panel import synthetic_panel

from curate.aggregate.annotators import fit_model
from curate.aggregate.graph.arcs import log_odds
from curate.aggregate.graph.tally import tally_pairs
from curate.aggregate.shards import denoise_in_shards, shard_work
from curate.aggregate.votes import Votes
from curate.config.project import Config
from curate.runner import open_runner

PACKAGES = {"dask": "distributed", "ray": "ray"}
Columns = Mapping[str, Any]


def label(votes: Votes, model: str) -> tuple[Columns, list[float]]:
    """Fit the model and denoise the graphs; return what comes of both, and the seconds of each."""
    began = time.monotonic()
    fit = fit_model(model, votes)
    fitted = time.monotonic()
    graphs = denoise_in_shards(tally_pairs(votes), log_odds(np.round(fit.p_a, 3)))
    columns = {"p_a": fit.p_a, "ability": fit.ability, "direction": graphs.direction, "margin": graphs.margin}
    return columns, [fitted - began, time.monotonic() - fitted]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--judgments", type=int, default=2_000_000)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--models", nargs="+", default=["one_coin", "panel"])
    parser.add_argument("--only", nargs="+", default=["local", "dask", "ray"])
    asked = parser.parse_args()
    votes, small = synthetic_panel(asked.judgments).votes, synthetic_panel(1000).votes
    print(f"{len(votes):,} judgments of {votes.n_prompts:,} prompts")
    whole = {}
    for model in asked.models:
        label(small, model)  # kernels are compiled or loaded before the clock starts
        whole[model], seconds = label(votes, model)
        print(f"{model}, one process: model {seconds[0]:.2f} s, graphs {seconds[1]:.2f} s", flush=True)
    for kind in asked.only:
        if kind in PACKAGES and importlib.util.find_spec(PACKAGES[kind]) is None:
            print(f"{kind}: not installed, left out")
            continue
        options = {} if kind == "local" else {"workers": 2}
        config = Config.model_validate({"runner": {"kind": kind, "shards": asked.shards, **options}})
        began = time.monotonic()
        with open_runner(config) as runner, shard_work(runner):
            for model in asked.models:
                label(small, model)
            started = time.monotonic() - began
            for model in asked.models:
                columns, seconds = label(votes, model)
                apart = max(np.nanmax(np.abs(columns[name] - whole[model][name])) for name in columns)
                print(
                    f"{model}, {kind}, {asked.shards} shards: model {seconds[0]:.2f} s, graphs {seconds[1]:.2f} s "
                    f"(workers ready after {started:.1f} s), largest difference {apart:.1e}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
