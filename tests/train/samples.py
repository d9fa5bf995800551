"""Small preference data and tiny models to train."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curate.config.project import Config
from curate.config.train import BackboneSection, TrainSection
from curate.core.identity import content_id

GOOD, BAD = ("fox", "quick", "brown"), ("dog", "lazy", "over")


def pair_rows(
    prompts: int = 24, *, seed: int = 0, aspects: dict[str, float] | None = None
) -> list[dict[str, Any]]:
    """A learnable preference: words of the one list are better than words of the other."""
    rng = random.Random(seed)
    return [
        {
            "prompt": [{"role": "user", "content": f"which is better: {number}?"}],
            "chosen": [{"role": "assistant", "content": " ".join(rng.choices(GOOD, k=3))}],
            "rejected": [{"role": "assistant", "content": " ".join(rng.choices(BAD, k=rng.randint(2, 6)))}],
            "prompt_id": content_id(number),
            "confidence": 0.9,
            "aspects": aspects,
        }
        for number in range(prompts)
    ]


def ranking_rows(prompts: int = 24, *, responses: int = 4, seed: int = 0) -> list[dict[str, Any]]:
    """The more words of the good list, the better."""
    rng = random.Random(seed)
    rows = []
    for number in range(prompts):
        good = rng.sample(range(responses), responses)
        texts = [" ".join([*rng.choices(GOOD, k=k), *rng.choices(BAD, k=responses - k)]) for k in good]
        rows.append(
            {
                "prompt": [{"role": "user", "content": f"which is better: {number}?"}],
                "responses": [
                    {"response_id": str(k), "text": text} for k, text in zip(good, texts, strict=True)
                ],
                "rankings": [responses - k for k in good],
                "prompt_id": content_id(number),
            }
        )
    return rows


def written(folder: Path, rows: Sequence[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train-00000.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


def settings(model: Path, **changes: Any) -> BackboneSection:
    """Steps of about three prompts, so that there are several in an epoch."""
    defaults: dict[str, Any] = {
        "row_tokens": 128,
        "batch_tokens": 160,
        "learning_rate": 3e-3,
        "epochs": 2,
        "held_out": 0.25,
        "evaluate_every": 4,
        "checkpoint_every": 3,
        "warmup": 0.1,
    }
    return BackboneSection(model=str(model), **defaults | changes)


def configured(folder: Path, model: Path, *, judge: str | None = "reward-model", **changes: Any) -> Config:
    config = Config(train=TrainSection(backbone=settings(model, **changes), bootstrap=20, judge=judge))
    object.__setattr__(config, "_folder", folder)
    return config
