"""Training steps (forward and backward) on N responses to a long prompt: what sharing the prompt saves.

A random Llama of about 30 M weights, fp32, a prompt of 512 tokens and N responses of 128, on one thread, in CPU
seconds of one comparison of all N. Peers, through Transformers' own sequence-classification model: N sequences as one
batch, which is what N-way training without packing does, and TRL's `RewardTrainer` (its collator and `compute_loss`)
on all N (N − 1) / 2 pairs, of which a few are run and the rest reckoned. The bound is the ratio of the numbers of
tokens. Run: `pip install trl; python bench/train_step.py [--n 4] [--rounds 3]`.
"""

from __future__ import annotations

import argparse
import copy
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from curate.reward.model import RewardModel
from curate.reward.packing import pack_jointly, pack_separately, pack_shared_prefix
from curate.train.losses import best_of_n

PROMPT, ANSWER, PAIRS = 512, 128, 2
BATCH = "separate passes (Transformers, one batch)"


def main() -> None:
    from transformers import AutoModelForSequenceClassification, LlamaConfig

    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, nargs="*", default=[4, 8])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
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
    print(
        f"{weights / 1e6:.0f} M weights, prompt {PROMPT}, responses of {ANSWER}, least of {options.rounds} rounds"
    )
    with tempfile.TemporaryDirectory() as folder:
        trl_loss = of_trl(peer, folder)
        for n in options.n:
            measure(n, options.rounds, peer, model, trl_loss)


def of_trl(peer: Any, folder: str) -> Callable[[list[list[int]]], Tensor]:
    """TRL's loss of the pairs (0, 1), (2, 3), …"""
    from datasets import Dataset
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast
    from trl import RewardConfig, RewardTrainer

    words = Tokenizer(WordLevel({"<pad>": 0, "<eos>": 1}, unk_token="<pad>"))
    trainer = RewardTrainer(
        model=peer,
        args=RewardConfig(folder, use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none"),
        processing_class=PreTrainedTokenizerFast(
            tokenizer_object=words, pad_token="<pad>", eos_token="<eos>"
        ),
        train_dataset=Dataset.from_list([{"chosen_ids": [2], "rejected_ids": [3]}]),
    )

    def loss(rows: list[list[int]]) -> Tensor:
        pairs = [{"chosen_ids": a, "rejected_ids": b} for a, b in zip(rows[::2], rows[1::2], strict=True)]
        found: Tensor = trainer.compute_loss(peer, trainer.data_collator(pairs))
        return found

    return loss


def measure(
    n: int,
    rounds: int,
    peer: torch.nn.Module,
    model: RewardModel,
    trl_loss: Callable[[list[list[int]]], Tensor],
) -> None:
    rng = random.Random(n)
    prompt = [rng.randrange(1, 8192) for _ in range(PROMPT)]
    answers = [[rng.randrange(1, 8192) for _ in range(ANSWER)] for _ in range(n)]
    rows = [prompt + answer for answer in answers]
    ways: dict[str, Callable[[], Tensor]] = {
        BATCH: lambda: peer(input_ids=torch.tensor(rows)).logits[:, 0],
        "separate passes, packed": lambda: model.score(pack_separately([prompt], [answers])),
        "shared prefix": lambda: model.score(pack_shared_prefix([prompt], [answers])),
        "joint": lambda: model.score(pack_jointly([prompt], [answers], [1])),
    }
    all_pairs = "all pairs (TRL)"
    seconds: dict[str, list[float]] = {name: [] for name in (*ways, all_pairs)}
    scores: dict[str, Tensor] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.process_time()
            scores[name] = way()
            best_of_n(scores[name][None], torch.eye(n)[:1]).backward()
            seconds[name].append(time.process_time() - started)
        started = time.process_time()
        trl_loss(rows[: 2 * PAIRS]).backward()
        seconds[all_pairs].append((time.process_time() - started) / PAIRS * n * (n - 1) / 2)
    # The least, for whatever else runs on the machine only adds to it.
    least = {name: min(times) for name, times in seconds.items()}
    bound = n * (PROMPT + ANSWER) / (PROMPT + n * ANSWER)
    print(f"\nN = {n}: separate passes have {bound:.2f} × the tokens of a shared prefix")
    for name, took in least.items():
        apart = (scores[name] - scores[BATCH]).abs().max().item() if name in scores else 0.0
        off = f"  scores off by {apart:.0e}" if name in ways and name != "joint" else ""
        spread = statistics.median(seconds[name]) / took
        print(
            f"  {name:42} {took:7.2f} s (median {spread:.2f} ×)  {least[BATCH] / took:5.2f} × separate passes"
            f"  {least[all_pairs] / took:6.2f} × all pairs{off}"
        )


if __name__ == "__main__":
    main()
