"""Invented pairs whose labels are known to reward one thing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.cli.app import main
from curate.rubric.labelled import LabelledPairs

FILLER = "the sea was calm and the boats went out early to fish near the old harbour wall".split()  # noqa: SIM905


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def make_sentence(rng: np.random.Generator, words: int) -> str:
    return f"{' '.join(rng.choice(FILLER, words)).capitalize()}."


def make_rows(number: int, *, seed: int = 0, noise: float = 0.1) -> list[dict[str, Any]]:
    """Pairs of equal length in which the better response hedges less; `noise` of the labels are the wrong way."""
    rng = np.random.default_rng(seed)
    rows = []
    for pair in range(number):
        words = int(rng.integers(20, 40))
        plain = f"{make_sentence(rng, words)} It goes so."
        hedged = f"{make_sentence(rng, words)} Perhaps goes so."
        sides = (hedged, plain) if rng.random() < noise else (plain, hedged)
        rows.append({"prompt": f"Question {pair} about boats?", "chosen": sides[0], "rejected": sides[1]})
    return rows


def make_length_rows(number: int, *, seed: int = 0, sign: int = 1) -> list[dict[str, Any]]:
    """Pairs in which the longer response is the better one in nine of ten; `sign` -1: the shorter one."""
    rng = np.random.default_rng(seed)
    rows = []
    for pair in range(number):
        short = " ".join(make_sentence(rng, 8) for _ in range(2))
        long = " ".join(make_sentence(rng, 8) for _ in range(5))
        better, worse = (long, short) if (rng.random() < 0.9) == (sign > 0) else (short, long)
        rows.append({"prompt": f"Question {pair} about boats?", "chosen": better, "rejected": worse})
    return rows


def make_pairs(number: int, *, ties: int = 0) -> LabelledPairs:
    """Pairs of two responses a prompt, the first one better; the last `ties` of them are ties."""
    responses = tuple(f"answer {place} {'word ' * (place % 3)}" for place in range(2 * number))
    return LabelledPairs(
        prompt_ids=tuple(f"p{prompt}" for prompt in range(number)),
        prompts=tuple(f"question {prompt}" for prompt in range(number)),
        references=(None,) * number,
        response_ids=tuple(f"r{place}" for place in range(2 * number)),
        responses=responses,
        prompt_of=np.repeat(np.arange(number), 2),
        chosen=2 * np.arange(number),
        rejected=2 * np.arange(number) + 1,
        p_chosen=np.where(np.arange(number) >= number - ties, 0.5, 1.0),
        weight=np.ones(number),
        dropped={},
    )


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str, str]:
    """Run `curate`; return the exit code and what it printed to both streams."""
    monkeypatch.setattr("sys.argv", ["curate", *arguments])
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    return code, out, err
