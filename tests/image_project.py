"""A project of synthetic pictures, from files to a report: half of its prompts show one, half ask for one.

Each prompt has one right response and two wrong ones; a small judge that truly sees (`tests.seeing`) compares them.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import yaml

from tests.seeing import COLOURS, paint
from tests.vision_models import vision_model


def write_image_project(folder: Path, url: str, *, prompts: int = 20, seed: int = 0) -> Path:
    """Write curate.yaml, rows, pictures, gold and a tiny random vision-language backbone.

    Args:
        folder: A new folder.
        url: Address of the seeing judge.
        prompts: Number of prompts.
        seed: Seed of the pictures.
    """
    folder.mkdir(parents=True)
    draw = random.Random(seed)
    made = [_make_row(folder, number, draw) for number in range(prompts)]
    _write(folder / "rows.jsonl", [row for row, _ in made])
    _write(folder / "gold.jsonl", [gold for _, gold in made])
    ranking = [["r0"], ["r1", "r2"]]
    _write(folder / "panel.jsonl", [{"prompt": row["id"], "ranking": ranking} for row, _ in made])
    vision_model(folder / "backbone")
    document = {
        "engines": {"eye": {"kind": "openai", "url": url, "model": "seeing", "images": "embed"}},
        "ingest": [{"source": "rows.jsonl"}],
        "judge": {
            "judges": [
                {"name": "eye", "kind": "pairwise", "engine": "eye"},
                {"name": "passes", "kind": "pointwise", "engine": "eye", "binary": True},
                {"name": "length", "kind": "rule", "rule": "length"},
            ]
        },
        "train": {
            "judge": None,
            "backbone": {"model": "backbone", "max_length": 256, "learning_rate": 0.003, "epochs": 1}
            | {"row_tokens": 1024, "batch_tokens": 4096, "evaluate_every": 50, "held_out": 0.2},
        },
        "evaluate": {
            "benchmarks": [
                {"name": "panel", "source": "panel.jsonl"},
                {"name": "gold", "source": "gold.jsonl", "format": "native"},
            ],
            "judges": ["eye", "passes"],
            "models": ["models/reward"],
        },
        "export": [
            {"path": "export/pairs", "format": "trl-preference", "license": "apache-2.0"},
            {"path": "export/rankings", "format": "ranking", "license": "apache-2.0"},
        ],
    }
    (folder / "curate.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return folder


def _make_row(folder: Path, number: int, draw: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a row with its responses in random order, and the same as gold."""
    right, *wrong = draw.sample(list(COLOURS), 3)
    shown = [right, *wrong]
    if number % 2:
        files = [f"pictures/{number}-{place}.png" for place in range(3)]
        for file, colour in zip(files, shown, strict=True):
            paint(folder / file, colour, size=48)
        messages: Any = f"Paint picture {number}: something {right}."
        answers = [[_say({"type": "image", "uri": file})] for file in files]
    else:
        file = f"pictures/{number}.png"
        paint(folder / file, right, size=48)
        question = {"type": "text", "text": f"Question {number}: which colour is it?"}
        messages = [{"role": "user", "content": [{"type": "image", "uri": file}, question]}]
        answers = [[_say({"type": "text", "text": f"It is {colour}."})] for colour in shown]
    order = draw.sample(range(3), 3)
    responses = [{"id": f"r{place}", "messages": answers[place]} for place in order]
    row = {"id": f"p{number}", "prompt": messages, "responses": responses}
    gold_prompt = messages if isinstance(messages, list) else [{"role": "user", "content": messages}]
    gold = {"prompt": gold_prompt, "responses": answers, "rankings": [1, 2, 2]}
    return row, gold


def _say(part: dict[str, str]) -> dict[str, Any]:
    return {"role": "assistant", "content": [part]}


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
