"""Is the default at least as good as each model? The final labels of `auto` beside majority, one_coin and panel.

    PYTHONPATH=. python bench/defaults_models.py [--draws 10] [--labels 0 20 40] [--only TEXT]

What `curate aggregate` does with the settings of `curate init`, on recorded panels with gold (`bench/defaults.py` goes
through the commands). A draw labels random pairs as the gold says; they are left out of the share right. A
tie counts half. `default N right / MODEL M right`: pairs of all draws on which the default and the best model differ,
and who is right. All these panels were looked at when it was settled what `auto` takes; others can say more.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import guarantee
import numpy as np
import panels
from guarantee import Truth
from numpy.typing import NDArray

from curate.aggregate.labelling import label_pairs
from curate.aggregate.posterior import pair_ids
from curate.config.aggregate import AggregateSection

MODELS = ("auto", "majority", "one_coin", "panel")
PANELS: dict[str, Callable[[], panels.RecordedPanel]] = {
    "LLMBar adversarial": lambda: panels.llmbar("adversarial", "Adversarial"),
    "LLMBar adversarial, no GPT-4": lambda: panels.llmbar("no GPT-4", "Adversarial", panels.without_gpt4),
    "LLMBar natural": lambda: panels.llmbar("natural", "Natural"),
    "MT-Bench": lambda: panels.llmbar("MT-Bench", "MT-Bench"),
    "LLMEval2": lambda: panels.llmbar("LLMEval2", "LLMEval"),
    "PRD": panels.prd,
    "PandaLM": panels.pandalm,
}


def measure(truth: Truth, model: str, labels: int, draw: int) -> NDArray[np.float64]:
    """Whether each pair that nobody labelled is right: 1, 0, or ½ for a tie."""
    votes, people = guarantee.labelled(truth, labels, np.random.default_rng(draw))
    found = label_pairs(votes, people, AggregateSection.model_validate({"annotator_model": model}))
    pair = pair_ids(found.posterior.tally)
    gold = np.zeros(len(pair))
    gold[np.searchsorted(pair, truth.pair)] = truth.gold
    rows = (gold != 0) & ~np.isin(pair, people.pairs)
    direction = found.graphs.direction[rows]
    right: NDArray[np.float64] = np.where(direction == 0, 0.5, direction == gold[rows])
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--labels", type=int, nargs="+", default=[0, 20, 40])
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    for name, build in PANELS.items():
        if arguments.only not in name:
            continue
        panel = build()
        truth = guarantee.recorded(panel)
        if panel.author is not None:  # as the lake has them
            truth = replace(truth, votes=replace(truth.votes, author=panel.author))
        for labels in arguments.labels:
            draws = range(arguments.draws if labels else 1)
            right = {
                model: np.concatenate([measure(truth, model, labels, draw) for draw in draws])
                for model in MODELS
            }
            shares = {model: np.mean(found) for model, found in right.items()}
            rival = max(MODELS[1:], key=lambda model: shares[model])
            best, gain = shares[rival], right["auto"] - right[rival]
            row = "  ".join(f"{model} {share:.3f}" for model, share in shares.items())
            print(
                f"{name:30s} {labels:3d} labels  {row}  default − best {shares['auto'] - best:+.3f}  "
                f"default {np.sum(gain > 0)} right / {rival} {np.sum(gain < 0)} right",
                flush=True,
            )


if __name__ == "__main__":
    main()
