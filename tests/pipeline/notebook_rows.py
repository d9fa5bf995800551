"""Rows as a notebook would hold them: prompts with three responses each, and people's and a model's votes on them."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any

PROMPTS = 14
QUALITY = {
    "long": "because the tide follows the moon, twice a day",
    "short": "the moon",
    "loop": "moon moon moon moon moon",
}
JUDGES = [
    {"name": "length", "kind": "rule", "rule": "length"},
    {"name": "bleu", "kind": "reference", "metric": "bleu"},
]


def make_responses() -> list[dict[str, Any]]:
    """One row for each prompt, in the native format."""
    return [
        {
            "id": f"q{number}",
            "prompt": f"Question {number}: why is there a tide?",
            "responses": [
                {"id": f"q{number}-{model}", "model": model, "text": f"Answer {number}: {text}."}
                for model, text in QUALITY.items()
            ],
            "reference": f"Answer {number}: because of the moon.",
        }
        for number in range(PROMPTS)
    ]


def make_votes() -> list[dict[str, Any]]:
    """Three people and a model, each on every pair in one order or the other; the later in QUALITY the worse."""
    rng = random.Random(0)
    rows = []
    for number in range(PROMPTS):
        for better, worse in combinations(QUALITY, 2):
            for annotator, kind, accuracy in (
                ("ann", "human", 0.95),
                ("bob", "human", 0.9),
                ("gpt", "llm", 0.7),
            ):
                a, b = rng.sample([better, worse], 2)
                right = "a" if a == better else "b"
                winner = right if rng.random() < accuracy else {"a": "b", "b": "a"}[right]
                row: dict[str, Any] = {"prompt": f"q{number}", "a": f"q{number}-{a}", "b": f"q{number}-{b}"}
                row |= {
                    "annotator": annotator,
                    "winner": winner,
                    "kind": kind,
                    "shown": rng.choice(("ab", "ba")),
                }
                rows.append(row | {"p_a": (0.8 if winner == "a" else 0.2) if kind == "llm" else None})
    return rows
