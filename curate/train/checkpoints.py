"""Where training stands, on disk: what is needed to go on after a kill as if nothing had been."""

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
    """`step` and `tokens`: done so far. `best`: the lowest held-out loss, found after `best_step` steps; `looks`:
    at the held-out prompts since then.
    """

    step: int = 0
    tokens: int = 0
    best: float | None = None
    best_step: int = 0
    looks: int = 0

    def seen(self, held_out_loss: float) -> TrainingProgress:
        if self.best is None or held_out_loss < self.best:
            return replace(self, best=held_out_loss, best_step=self.step, looks=0)
        return replace(self, looks=self.looks + 1)


class Checkpoints:
    """In `folder`: `last/` (trained weights, optimizer, progress) and `best.pt` (weights).

    Works on a model as it is and under DDP; FSDP's sharded weights are not gathered yet. Every process calls, the
    `main` one writes. The random numbers of a step are a function of seed and step, so their state needs no saving.
    """

    def __init__(self, folder: Path, *, main: bool = True) -> None:
        self.folder = folder
        self._main = main
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, progress: TrainingProgress) -> None:
        state = {
            "model": get_model_state_dict(model, options=_OPTIONS),
            "optimizer": get_optimizer_state_dict(model, optimizer, options=_OPTIONS),
        }
        if self._main:
            with atomic_directory(self.folder / "last", owned=lambda _: _FILES, noun="a checkpoint") as made:
                torch.save(state, made / "state.pt")
                (made / "progress.json").write_text(json.dumps(asdict(progress)), encoding="utf-8")

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingProgress:
        """Put model and optimizer where the last checkpoint has them; untouched where there is none."""
        last = self.folder / "last"
        if not (last / "progress.json").is_file():
            return TrainingProgress()
        state = torch.load(last / "state.pt", map_location="cpu", weights_only=True)
        set_model_state_dict(model, state["model"], options=_PARTIAL)
        set_optimizer_state_dict(model, optimizer, state["optimizer"], options=_OPTIONS)
        return TrainingProgress(**json.loads((last / "progress.json").read_text(encoding="utf-8")))

    def save_best(self, model: nn.Module) -> None:
        state = get_model_state_dict(model, options=_OPTIONS)
        if self._main:
            with atomic_file(self.folder / "best.pt") as made:
                torch.save(state, made)

    def load_best(self, model: nn.Module) -> None:
        state = torch.load(self.folder / "best.pt", map_location="cpu", weights_only=True)
        set_model_state_dict(model, state, options=_PARTIAL)

    def clear(self) -> None:
        """Done: what else is in the folder stays."""
        if self._main:
            shutil.rmtree(self.folder / "last", ignore_errors=True)
            (self.folder / "best.pt").unlink(missing_ok=True)


_FILES = frozenset({"state.pt", "progress.json"})
_OPTIONS = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
_PARTIAL = StateDictOptions(full_state_dict=True, strict=False)  # frozen weights are not in the file
