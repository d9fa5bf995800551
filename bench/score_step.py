"""Scoring N responses to a long prompt: what one pass for all of them saves, and what more orders cost.

As train_step.py (models, sizes, bound and peers are those of step_workloads.py), without gradients. A joint model is
asked in one order, and in all rotations of one: N times the responses' tokens for scores that no place favours.
Run: `python bench/score_step.py [--n 2 4 8] [--rounds 3] [--only text]`.
"""

from __future__ import annotations

import argparse

import torch
from step_workloads import (
    build_text_model,
    build_text_workload,
    build_vision_model,
    build_vision_workload,
    measure,
)
from torch import Tensor


def keep(scores: Tensor, n: int) -> None:
    """Do nothing with scores."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, nargs="*", default=[2, 4, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["text", "vision"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        if options.only != "vision":
            peer, model = build_text_model()
            print("text")
            for n in options.n:
                measure(n, options.rounds, build_text_workload(peer, model, n, rotations=True), keep)
        if options.only != "text":
            seeing, ours = build_vision_model()
            print("\nvision-language")
            for n in options.n:
                measure(n, options.rounds, build_vision_workload(seeing, ours, n, rotations=True), keep)


if __name__ == "__main__":
    main()
