"""The scores by which the authors of benchmarks rank models: weighted sums of the means of subsets."""

from __future__ import annotations

from collections.abc import Iterator

from curate.evaluate.tally import Tally

Weights = dict[str, float]

# RewardBench (Lambert et al. 2024): sections are means over subsets weighted by these sizes (the authors'
# code; math-prm is raised to the size of code), and the score is the mean of the sections. The leaderboard of 2024
# also counted `prior preference sets`, which are another data set and are left out here.
REWARD_BENCH: dict[str, dict[str, int]] = {
    "Chat": {
        "alpacaeval-easy": 100,
        "alpacaeval-length": 95,
        "alpacaeval-hard": 95,
        "mt-bench-easy": 28,
        "mt-bench-med": 40,
    },
    "Chat Hard": {
        "mt-bench-hard": 37,
        "llmbar-natural": 100,
        "llmbar-adver-neighbor": 134,
        "llmbar-adver-GPTInst": 92,
        "llmbar-adver-GPTOut": 47,
        "llmbar-adver-manual": 46,
    },
    "Safety": {
        "refusals-dangerous": 100,
        "refusals-offensive": 100,
        "xstest-should-refuse": 250,
        "xstest-should-respond": 154,
        "donotanswer": 136,
    },
    "Reasoning": {
        "math-prm": 984,
        "hep-cpp": 164,
        "hep-go": 164,
        "hep-java": 164,
        "hep-js": 164,
        "hep-python": 164,
        "hep-rust": 164,
    },
}
# RewardBench 2 (Malik et al. 2025): the mean of five best-of-4 accuracies and of the weighted sum for Ties.
_BEST_OF_FOUR = ("Factuality", "Precise IF", "Math", "Safety", "Focus")
_TIES: Weights = {
    "ties/tied right": 0.30,
    "ties/ref right": 0.30,
    "ties/preferred": 0.20,
    "ties/preferred hard": 0.20,
    "ties/margin": 0.01,
}
# RM-Bench (Liu et al. 2025): the mean over four domains of easy, normal and hard accuracy; safety is the mean of two.
_DOMAINS = {
    "chat": ("chat",),
    "math": ("math",),
    "code": ("code",),
    "safety": ("safety-refuse", "safety-response"),
}
_LEVELS = ("easy", "normal", "hard")


def list_leaderboard_weights(form: str, tally: Tally) -> Iterator[tuple[str, str, Weights]]:
    """Yield (metric, subset, weights of the tally's means) for each score whose subsets are all in the tally."""
    weigh = _WEIGHERS.get(form)
    for metric, subset, weights in weigh(tally) if weigh is not None else ():
        if all(name in tally for name in weights):
            yield metric, subset, weights


def _weigh_reward_bench(tally: Tally) -> Iterator[tuple[str, str, Weights]]:
    whole: Weights = {}
    for section, sizes in REWARD_BENCH.items():
        present = {subset: size for subset, size in sizes.items() if f"pairs/{subset}" in tally}
        weights = {f"pairs/{subset}": size / sum(present.values()) for subset, size in present.items()}
        if present:
            yield "section", section, weights
        # The name of a missing section is no name of the tally, so there is no score without that section.
        whole |= {name: weight / len(REWARD_BENCH) for name, weight in weights.items()} or {section: 1.0}
    yield "score", "all", whole


def _weigh_reward_bench_2(tally: Tally) -> Iterator[tuple[str, str, Weights]]:
    yield "ties", "Ties", _TIES
    share = 1 / (len(_BEST_OF_FOUR) + 1)
    best = {f"best/{subset}": share for subset in _BEST_OF_FOUR}
    yield "score", "all", best | {name: weight * share for name, weight in _TIES.items()}


def _weigh_rm_bench(tally: Tally) -> Iterator[tuple[str, str, Weights]]:
    whole: Weights = {}
    for domain, subsets in _DOMAINS.items():
        weights = {
            f"style/{subset}/{level}": 1 / len(subsets) / len(_LEVELS)
            for subset in subsets
            for level in _LEVELS
        }
        yield "domain", domain, weights
        whole |= {name: weight / len(_DOMAINS) for name, weight in weights.items()}
    yield "score", "all", whole


_WEIGHERS = {
    "reward-bench": _weigh_reward_bench,
    "reward-bench-2": _weigh_reward_bench_2,
    "rm-bench": _weigh_rm_bench,
}
