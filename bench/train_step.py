"""Training steps (forward and backward) on N responses to a long prompt: what sharing the prompt saves.

The models, sizes and the bound are those of step_workloads.py, in fp32 on one thread, in CPU seconds of one comparison
of all N. Peers: N sequences as one padded batch through Transformers' own model, which is what N-way training without
packing does; and pairs, each a batch of two rows as TRL's `RewardTrainer` makes them, of which one is run and all
N (N − 1) / 2 are reckoned. Run: `python bench/train_step.py [--n 2 4 8] [--rounds 2] [--only text]`.
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
    print_token_counts,
)
from torch import Tensor

from curate.train.losses import best_of_n


def learn(scores: Tensor, n: int) -> None:
    best_of_n(scores[None], torch.eye(n)[:1]).backward()  # type: ignore[no-untyped-call]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, nargs="*", default=[2, 4, 8])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=["text", "vision"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    print_token_counts()
    if options.only != "vision":
        peer, model = build_text_model()
        print(f"\ntext, {sum(each.numel() for each in peer.parameters()) / 1e6:.0f} M weights")
        for n in options.n:
            measure(n, options.rounds, build_text_workload(peer, model, n, rotations=False), learn)
    if options.only != "text":
        seeing, ours = build_vision_model()
        print(f"\nvision-language, {sum(each.numel() for each in ours.parameters()) / 1e6:.0f} M weights")
        for n in options.n:
            measure(n, options.rounds, build_vision_workload(seeing, ours, n, rotations=False), learn)


if __name__ == "__main__":
    main()
