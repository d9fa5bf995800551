"""Training steps (forward and backward) on N responses to a long prompt: what sharing the prompt saves.

A random Llama of about 30 M weights, fp32, a prompt of 512 tokens and N responses of 128, on one thread, in CPU
seconds. Peer: N sequences as one batch through Transformers' own sequence-classification model, which is what N-way
training without packing does. The bound is the ratio of the numbers of tokens. Run: `python bench/train_step.py`.
"""

from __future__ import annotations

import copy
import random
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from curate.train.losses import best_of_n
from curate.train.model import RewardModel
from curate.train.packing import joint, separate, shared_prefix

PROMPT, ANSWER, ROUNDS = 512, 128, 3


def main() -> None:
    from transformers import AutoModelForSequenceClassification, LlamaConfig

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=512,
        intermediate_size=1376,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        num_labels=1,
        pad_token_id=0,
    )
    peer = AutoModelForSequenceClassification.from_config(config, attn_implementation="sdpa")
    weights = sum(each.numel() for each in peer.parameters())
    ours = AutoModelForSequenceClassification.from_config(
        copy.deepcopy(config)
    )  # each sets its own attention
    ours.load_state_dict(peer.state_dict())
    model = RewardModel(ours.base_model, ours.score)
    print(f"{weights / 1e6:.0f} M weights, prompt {PROMPT}, responses of {ANSWER}, median of {ROUNDS} rounds")
    for n in (4, 8):
        measure(n, peer, model)


def measure(n: int, peer: torch.nn.Module, model: RewardModel) -> None:
    rng = random.Random(n)
    prompt = [rng.randrange(1, 8192) for _ in range(PROMPT)]
    answers = [[rng.randrange(1, 8192) for _ in range(ANSWER)] for _ in range(n)]
    batch = torch.tensor([prompt + answer for answer in answers])
    ways: dict[str, Callable[[], Tensor]] = {
        "batch (Transformers)": lambda: peer(input_ids=batch).logits[:, 0],
        "separate, packed": lambda: model.score(separate([prompt], [answers])),
        "shared prefix": lambda: model.score(shared_prefix([prompt], [answers])),
        "joint": lambda: model.score(joint([prompt], [answers], [1])),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    scores: dict[str, Tensor] = {}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            started = time.process_time()
            scores[name] = way()
            best_of_n(scores[name][None], torch.eye(n)[:1]).backward()
            seconds[name].append(time.process_time() - started)
    reference = statistics.median(seconds["batch (Transformers)"])
    bound = n * (PROMPT + ANSWER) / (PROMPT + n * ANSWER)
    print(f"\nN = {n}, bound by tokens {bound:.2f} ×")
    for name, times in seconds.items():
        apart = (scores[name] - scores["batch (Transformers)"]).abs().max().item()
        took = statistics.median(times)
        off = "" if name == "joint" else f"  scores off by {apart:.0e}"
        print(f"  {name:22} {took:7.2f} s  {reference / took:5.2f} ×{off}")


if __name__ == "__main__":
    main()
