"""A small model that truly sees, trained from nothing: the reward path with pictures, end to end, with known answers.

    python bench/seeing_model.py                      # half an hour of one processor core
    python bench/seeing_model.py --keep /tmp/seeing   # leave backbone, data and reward models there

Scenes and captions are those of tests/scenes.py, the backbone is that of tests/seeing_model.py (a LLaVA of 0.6 M
weights, 48 × 48 pixels). It is taught what is in pictures; then `curate train` makes a reward model of it on rankings
of N captions (one right), and the same of a language model that reads the captions alone. Measured on scenes that
nobody trained on, and on such with combinations of colour and shape that no training picture or caption had; then with
each picture replaced by a blank one. It sees these scenes and no others: what is shown is that images go from a file
to a reward without loss, not that anything is good.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from curate.reward.scorer import open_reward_model
from tests.seeing_model import build_model, save_models, teach_model
from tests.seeing_tasks import Measured, draw_tasks, measure_model, write_rows

CONFIG = """
train:
  path: models/{name}
  judge: null
  seed: 0
  backbone:
    model: {model}
    forward: {forward}
    loss: {{kind: best}}
    epochs: {epochs}
    learning_rate: {rate}
    row_tokens: 1536
    batch_tokens: 1536
    max_length: 512
    evaluate_every: 20
    patience: 100
    held_out: 0.05
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small seeing model, and measure it.")
    parser.add_argument("--steps", type=int, default=7000, help="steps in which the backbone is taught")
    parser.add_argument(
        "--prompts", type=int, default=4000, help="rankings that the reward model learns from"
    )
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--n", type=int, default=4, choices=[2, 3, 4], help="captions of a prompt")
    parser.add_argument("--forward", default="joint", choices=["joint", "shared-prefix"])
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
    if not (folder / "backbone").is_dir():
        began = time.process_time()
        processor, model = build_model()
        teach_model(processor, model, steps=arguments.steps, report=report_losses)
        save_models(processor, model, folder)
        print(f"taught in {time.process_time() - began:.0f} s of processor time")
    rows = draw_tasks(arguments.prompts, n=arguments.n, seed=1)
    write_rows(folder / "seeing.jsonl", rows)
    write_rows(folder / "reading.jsonl", rows, pictures=False)
    settings = {"forward": arguments.forward, "epochs": arguments.epochs, "rate": 1e-3}
    train_model(folder, "seeing", "backbone", settings)
    train_model(folder, "reading", "language", settings)
    held_out = {
        "new scenes": draw_tasks(arguments.held_out, n=arguments.n, seed=2),
        "new combinations": draw_tasks(arguments.held_out, n=arguments.n, seed=3, kept_back=True),
    }
    seeing, reading = (
        open_reward_model(f"models/{name}", folder=folder, dtype="float32") for name in ("seeing", "reading")
    )
    print(f"\n{'':34} right of {arguments.n} | right of pairs | by family")
    for name, tasks in held_out.items():
        show(f"sees, {name}", measure_model(seeing, tasks))
        show(f"sees a blank, {name}", measure_model(seeing, tasks, pictures="blank"))
        show(f"reads captions alone, {name}", measure_model(reading, tasks, pictures="none"))


def report_losses(step: int, naming: float, judging: float) -> None:
    if (step + 1) % 100 == 0:
        print(f"  step {step + 1}: loss of naming {naming:.3f}, of statements {judging:.3f}", flush=True)


def train_model(folder: Path, name: str, model: str, settings: dict[str, object]) -> None:
    """Train a reward model by the command, as users do."""
    (folder / "curate.yaml").write_text(CONFIG.format(name=name, model=model, **settings))
    command = [sys.executable, "-c", "from curate.cli.app import main; main()", "train", f"{name}.jsonl"]
    subprocess.run(command, cwd=folder, check=True)
    about = json.loads((folder / "models" / name / "training.json").read_text())
    print(f"{name}: {about['steps']} steps, {about['tokens']:,} tokens", flush=True)


def show(name: str, measured: Measured) -> None:
    families = ", ".join(f"{family} {value:.3f}" for family, value in measured.by_family.items())
    print(f"{name:34} {measured.best:10.3f} | {measured.pairs:14.3f} | {families}", flush=True)


if __name__ == "__main__":
    main()
