"""flash-preference beside ours on a GPU: training steps on N responses to a long prompt. Written, not run yet.

The peer needs CUDA, flash-attn and transformers < 4.52, so each side runs in an environment of its own, on the same
random weights' shape (a Qwen2 of 1.5 B), the same tokens and the same loss:

    python -m venv /tmp/theirs && /tmp/theirs/bin/pip install flash-pref flash-attn 'transformers<4.52' torch
    /tmp/theirs/bin/python bench/peers/flash_preference.py --side theirs > theirs.jsonl
    PYTHONPATH=. python bench/peers/flash_preference.py --side ours > ours.jsonl

Each prints a JSON line for each N: seconds of a step (median of the rounds after a warm-up), tokens that the layers
read, and the share of the GPU's peak that 6 × weights × tokens make (MFU; attention's own products not counted).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

SHAPE: dict[str, Any] = {
    "vocab_size": 32_000,
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32_768,
}
Step = Callable[[list[int], list[list[int]]], tuple[Tensor, int]]
"""Computes the scores float[N] of the responses to a prompt, and says how many tokens the layers read."""


def make_ours() -> tuple[nn.Module, Step]:
    from transformers import AutoModel, Qwen2Config

    from curate.reward.model import RewardModel
    from curate.reward.packing import pack_shared_prefix

    torch.manual_seed(0)
    backbone = AutoModel.from_config(Qwen2Config(**SHAPE), dtype=torch.bfloat16)
    model = RewardModel.add_head(backbone).cuda().train()

    def step(prompt: list[int], answers: list[list[int]]) -> tuple[Tensor, int]:
        packed = pack_shared_prefix([prompt], [answers])
        return model.score(packed.to("cuda")), packed.tokens.numel()

    return model, step


def make_theirs() -> tuple[nn.Module, Step]:
    from flash_pref import shared_prefix
    from transformers import AutoModelForSequenceClassification, Qwen2Config

    torch.manual_seed(0)
    config = Qwen2Config(**SHAPE, num_labels=1, pad_token_id=0, use_cache=False)
    model = AutoModelForSequenceClassification.from_config(
        config, torch_dtype=torch.bfloat16, attn_implementation="flash_attention_2"
    )
    model = model.cuda().train()

    def step(prompt: list[int], answers: list[list[int]]) -> tuple[Tensor, int]:
        rows = torch.tensor([prompt + answer for answer in answers], device="cuda")
        mask = torch.ones_like(rows)
        with shared_prefix(model, input_ids=rows, attention_mask=mask, group_size=len(answers)):
            logits = model(input_ids=rows, attention_mask=mask).logits[:, 0]
        return logits, len(prompt) + sum(map(len, answers))

    return model, step


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", choices=["ours", "theirs"], required=True)
    parser.add_argument("--n", type=int, nargs="*", default=[2, 4, 8])
    parser.add_argument("--prompt", type=int, default=2048)
    parser.add_argument("--answer", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak", type=float, default=989e12, help="Floating-point operations per second.")
    options = parser.parse_args()
    model, step = make_ours() if options.side == "ours" else make_theirs()
    embeddings = SHAPE["vocab_size"] * SHAPE["hidden_size"]
    weights = (
        sum(each.numel() for each in model.parameters()) - embeddings
    )  # they are looked up, not multiplied
    for n in options.n:
        rng = random.Random(n)
        prompt, *answers = (
            [rng.randrange(1, 32_000) for _ in range(length)]
            for length in (options.prompt, *[options.answer] * n)
        )
        seconds, tokens = [], 0
        for _ in range(options.rounds + 1):
            torch.cuda.synchronize()
            started = time.perf_counter()
            scores, tokens = step(prompt, answers)
            (-torch.log_softmax(scores.float(), dim=0)[0]).backward()  # type: ignore[no-untyped-call]
            model.zero_grad(set_to_none=True)
            torch.cuda.synchronize()
            seconds.append(time.perf_counter() - started)
        took = statistics.median(seconds[1:])
        mfu = 6 * weights * tokens / took / options.peak
        print(json.dumps({"side": options.side, "n": n, "seconds": took, "tokens": tokens, "mfu": mfu}))


if __name__ == "__main__":
    main()
