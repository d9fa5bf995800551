"""A small model that truly sees, trained from nothing: the reward path with pictures, end to end, with known answers.

    python bench/seeing_model.py                      # ten minutes of one processor core
    python bench/seeing_model.py --keep /tmp/seeing   # leave backbone, data and reward models there

Scenes and captions are those of tests/scenes.py, the backbone is that of tests/seeing_model.py (a LLaVA of 0.8 M
weights, 48 × 48 pixels). tests/seeing_lessons.py teaches it what is in pictures; then `curate train` makes a reward
model of it on rankings of N captions (one right), and the same of a language model that reads the captions alone.
Measured on scenes of which nothing was trained on, and on such with combinations of colour and shape that no training
picture or caption had; then with each picture replaced by a blank one. It sees these scenes and no others: what is
shown is that images go from a file to a reward without loss, not that anything is good.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from curate.reward.scorer import open_reward_model
from tests.seeing_lessons import teach_model
from tests.seeing_model import build_model, save_models
from tests.seeing_tasks import Measured, draw_tasks, measure_model, train_reward, write_rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small seeing model, and measure it.")
    parser.add_argument("--steps", type=int, default=3000, help="steps in which the backbone is taught")
    parser.add_argument(
        "--prompts", type=int, default=2000, help="rankings that the reward model learns from"
    )
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--n", type=int, default=4, choices=[2, 3, 4], help="captions of a prompt")
    parser.add_argument("--forward", default="joint", choices=["joint", "shared-prefix"])
    parser.add_argument(
        "--seed", type=int, default=1, help="of weights, lessons and scenes; settings were chosen with 0"
    )
    parser.add_argument("--held-out", type=int, default=400, help="scenes to measure with")
    parser.add_argument(
        "--keep", type=Path, help="folder to leave everything in; a backbone that is there is taken"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        run_recipe(folder, arguments)


def run_recipe(folder: Path, arguments: argparse.Namespace) -> None:
    seed = 10 * arguments.seed
    if not (folder / "backbone").is_dir():
        began = time.process_time()
        processor, model = build_model(seed=seed)
        teach_model(processor, model, steps=arguments.steps, seed=seed, report=report_losses)
        save_models(processor, model, folder)
        print(f"taught in {time.process_time() - began:.0f} s of processor time")
    rows = draw_tasks(arguments.prompts, n=arguments.n, seed=seed + 1)
    write_rows(folder / "seeing.jsonl", rows)
    write_rows(folder / "reading.jsonl", rows, pictures=False)
    for name, backbone in (("seeing", "backbone"), ("reading", "language")):
        about = train_reward(
            folder, name, backbone, forward=arguments.forward, epochs=arguments.epochs, seed=seed
        )
        print(f"{name}: {about['steps']} steps, {about['tokens']:,} tokens", flush=True)
    held_out = {
        "new scenes": draw_tasks(arguments.held_out, n=arguments.n, seed=seed + 2, held_out=True),
        "new combinations": draw_tasks(
            arguments.held_out, n=arguments.n, seed=seed + 3, held_out=True, kept_back=True
        ),
    }
    seeing, reading = (
        open_reward_model(f"models/{name}", folder=folder, dtype="float32") for name in ("seeing", "reading")
    )
    print(f"\n{'':34} right of {arguments.n} | right of pairs | by family")
    for name, tasks in held_out.items():
        show(f"sees, {name}", measure_model(seeing, tasks))
        show(f"sees a blank, {name}", measure_model(seeing, tasks, pictures="blank"))
        show(f"reads captions alone, {name}", measure_model(reading, tasks, pictures="none"))


def report_losses(step: int, losses: list[float]) -> None:
    if (step + 1) % 100 == 0:
        naming, grounding, answers = losses
        print(
            f"  step {step + 1}: loss of naming {naming:.3f}, of grounding {grounding:.3f}, of answers {answers:.3f}",
            flush=True,
        )


def show(name: str, measured: Measured) -> None:
    families = ", ".join(f"{family} {value:.3f}" for family, value in measured.by_family.items())
    print(f"{name:34} {measured.best:10.3f} | {measured.pairs:14.3f} | {families}", flush=True)


if __name__ == "__main__":
    main()
