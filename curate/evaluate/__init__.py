"""The stage `evaluate`: accuracy of the panel, its labels and reward models, with baselines and intervals."""

from curate.evaluate.stage import evaluate_benchmarks

__all__ = ["evaluate_benchmarks"]
