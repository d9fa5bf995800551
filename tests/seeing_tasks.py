"""Questions about synthetic scenes as rows to train on, and as requests to measure a reward model with."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from curate.core.identity import content_id
from curate.data.conversation import text_answer
from curate.records import Message, Part, text_parts
from curate.reward.scorer import PromptResponses, RewardScorer
from tests.scenes import (
    FAMILIES,
    KEPT_BACK,
    SHOWN,
    Question,
    ask_question,
    draw_blank,
    draw_scene,
    embed_picture,
)
from tests.seeing_model import REQUEST

CONFIG = """
train:
  path: models/{name}
  judge: null
  seed: {seed}
  backbone:
    model: {backbone}
    forward: {forward}
    loss: {{kind: best}}
    epochs: {epochs}
    learning_rate: 0.001
    row_tokens: 1536
    batch_tokens: 1536
    max_length: 512
    evaluate_every: 20
    patience: 100
    held_out: 0.05
"""


@dataclass(frozen=True, slots=True)
class Task:
    """A question with its picture, as a `data:` URI."""

    question: Question
    picture: str


@dataclass(frozen=True, slots=True)
class Measured:
    """Shares that are right: the best of N captions, the better of two of them, and the best of N by family."""

    best: float
    pairs: float
    by_family: dict[str, float]


def draw_tasks(
    number: int,
    *,
    n: int,
    seed: int,
    held_out: bool = False,
    kept_back: bool = False,
    families: Sequence[str] = FAMILIES,
) -> list[Task]:
    """Draw questions of all families.

    Args:
        number: How many.
        n: Captions of each.
        seed: Decides them.
        held_out: Their scenes are those that nothing is trained on.
        kept_back: They are about the combinations of colour and shape that are kept from training.
        families: What they are about, by turns.
    """
    rng = Random(seed)
    kinds = KEPT_BACK if kept_back else SHOWN
    questions = [
        ask_question(rng, families[place % len(families)], kinds=kinds, n=n, held_out=held_out)
        for place in range(number)
    ]
    return [Task(question, embed_picture(draw_scene(rng, question.scene))) for question in questions]


def write_rows(file: Path, tasks: Sequence[Task], *, pictures: bool = True) -> None:
    """Write tasks as rankings, one right caption before all others; `pictures` False: the captions alone."""
    rows = [
        {
            "prompt": [
                message.model_dump(mode="json") for message in make_prompt(task.picture if pictures else None)
            ],
            "prompt_id": content_id("scene", number),
            "responses": [
                {"response_id": str(slot), "text": caption}
                for slot, caption in enumerate(task.question.captions)
            ],
            "rankings": [
                1 if slot == task.question.right else 2 for slot in range(len(task.question.captions))
            ],
        }
        for number, task in enumerate(tasks)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def train_reward(
    folder: Path, name: str, backbone: str, *, forward: str = "joint", epochs: int, seed: int = 0
) -> dict[str, Any]:
    """Train a reward model by the command, as users do; return what its training.json says.

    Args:
        folder: Where the backbone and the rows are; the model goes to `models/<name>`.
        name: Of the rows, without `.jsonl`, and of the model.
        backbone: Folder of the backbone.
        forward: What a response sees.
        epochs: Passes over the rows.
        seed: Of the training.
    """
    settings = {"name": name, "backbone": backbone, "forward": forward, "epochs": epochs, "seed": seed}
    (folder / "curate.yaml").write_text(CONFIG.format(**settings), encoding="utf-8")
    command = [sys.executable, "-c", "from curate.cli.app import main; main()", "train", f"{name}.jsonl"]
    subprocess.run(command, cwd=folder, check=True)
    about: dict[str, Any] = json.loads((folder / "models" / name / "training.json").read_text("utf-8"))
    return about


def make_prompt(picture: str | None) -> tuple[Message, ...]:
    parts = (*([Part(type="image", uri=picture)] if picture else []), *text_parts(REQUEST))
    return (Message(role="user", content=parts),)


def measure_model(scorer: RewardScorer, tasks: Sequence[Task], *, pictures: str = "own") -> Measured:
    """Measure a reward model on tasks; equal scores count as half right.

    Args:
        scorer: The model.
        tasks: The tasks.
        pictures: own: each task's; blank: an empty picture for all; none: no picture.
    """
    blank = embed_picture(draw_blank())
    shown: dict[str, Any] = {"blank": blank, "none": None}
    right: dict[str, list[float]] = {family: [] for family in FAMILIES}
    pairs: list[PromptResponses] = []
    whole: list[PromptResponses] = []
    for task in tasks:
        question = task.question
        prompt = make_prompt(shown.get(pictures, task.picture))
        answers = tuple(map(text_answer, question.captions))
        whole.append(PromptResponses(prompt, answers))
        better = answers[question.right]
        pairs += [PromptResponses(prompt, (better, worse)) for worse in answers if worse is not better]
    for task, scores in zip(tasks, scorer.score(whole), strict=True):
        best = scores >= scores.max()
        right[task.question.family].append(float(best[task.question.right]) / int(best.sum()))
    margins = np.array([better - worse for better, worse in scorer.score(pairs)])
    return Measured(
        float(np.mean(list(itertools.chain.from_iterable(right.values())))),
        float(np.mean(margins > 0) + 0.5 * np.mean(margins == 0)),
        {family: float(np.mean(values)) for family, values in right.items() if values},
    )
