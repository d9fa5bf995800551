"""Checkpoints of a training on disk, from which it goes on after a kill to the same weights."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from curate.core.atomic import atomic_directory, atomic_file


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """State of a training between two steps.

    `step`, `tokens`: done so far. `best`: lowest held-out loss, measured after `best_step` steps;
    `evaluations_since_best`: evaluations on the held-out prompts since then.
    """

    step: int = 0
    tokens: int = 0
    best: float | None = None
    best_step: int = 0
    evaluations_since_best: int = 0

    def record_evaluation(self, held_out_loss: float) -> TrainingProgress:
        """Return the progress after an evaluation on the held-out prompts."""
        if self.best is None or held_out_loss < self.best:
            return replace(self, best=held_out_loss, best_step=self.step, evaluations_since_best=0)
        return replace(self, evaluations_since_best=self.evaluations_since_best + 1)


class Checkpoints:
    """Checkpoints in `folder`: `last/` (trained weights, optimizer, progress) and `best.pt` (weights).

    Works on a plain model and under DDP; sharded weights of FSDP are not gathered yet. Every process calls the methods,
    only the `main` one writes. The random numbers of a step depend on seed and step alone, so no generator is saved.
    """

    def __init__(self, folder: Path, *, main: bool = True) -> None:
        self.folder = folder
        self._main = main
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, progress: TrainingProgress) -> None:
        """Write the last checkpoint in place of the one before; a kill leaves one of the two."""
        state = {
            "model": get_model_state_dict(model, options=_OPTIONS),
            "optimizer": get_optimizer_state_dict(model, optimizer, options=_OPTIONS),
        }
        if self._main:
            with atomic_directory(self.folder / "last", owned=lambda _: _FILES, noun="a checkpoint") as last:
                torch.save(state, last / "state.pt")
                (last / "progress.json").write_text(json.dumps(asdict(progress)), encoding="utf-8")

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingProgress:
        """Restore model and optimizer from the last checkpoint, if there is one, and return its progress."""
        last = self.folder / "last"
        if not (last / "progress.json").is_file():
            return TrainingProgress()
        state = torch.load(last / "state.pt", map_location="cpu", weights_only=True)
        set_model_state_dict(model, state["model"], options=_PARTIAL)
        set_optimizer_state_dict(model, optimizer, state["optimizer"], options=_OPTIONS)
        values = json.loads((last / "progress.json").read_text(encoding="utf-8"))
        if "looks" in values:  # the name in checkpoints of version 0.1
            values["evaluations_since_best"] = values.pop("looks")
        return TrainingProgress(**values)

    def save_best(self, model: nn.Module) -> None:
        """Keep the model's weights as the best ones so far."""
        state = get_model_state_dict(model, options=_OPTIONS)
        if self._main:
            with atomic_file(self.folder / "best.pt") as file:
                torch.save(state, file)

    def load_best(self, model: nn.Module) -> None:
        """Give the model the best weights."""
        state = torch.load(self.folder / "best.pt", map_location="cpu", weights_only=True)
        set_model_state_dict(model, state, options=_PARTIAL)

    def remove_files(self) -> None:
        """Remove the checkpoints of a finished training; other files of the folder stay."""
        if self._main:
            shutil.rmtree(self.folder / "last", ignore_errors=True)
            (self.folder / "best.pt").unlink(missing_ok=True)


_FILES = frozenset({"state.pt", "progress.json"})
_OPTIONS = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
_PARTIAL = StateDictOptions(full_state_dict=True, strict=False)  # frozen weights are not in the file
