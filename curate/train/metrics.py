"""Metrics of a training on disk: a line of JSON per step and, as an option, TensorBoard's event files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curate.core.atomic import atomic_file
from curate.core.extras import require_extra

_HELD_OUT = "held_out_"  # prefix of metrics on held-out prompts


class MetricsLog:
    """Writes `metrics.jsonl` in `folder`, and `tensorboard/` beside it; only the `main` process writes.

    metrics = MetricsLog(folder, tensorboard=True)
    metrics.resume_after(progress.step)
    metrics.log_row({"step": 1, "loss": 0.69, "held_out_loss": 0.70})   # train/loss and held_out/loss
    """

    def __init__(self, folder: Path, *, main: bool = True, tensorboard: bool = False) -> None:
        """Raise MissingExtraError if `tensorboard` is set and not installed."""
        self._folder, self._main = folder, main
        self._writer: Any = _import_writer() if tensorboard and main else None
        self._board: Any = None

    def resume_after(self, step: int) -> None:
        """Start or go on after `step`; rows of later steps are deleted, because those steps are taken again."""
        if not self._main:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self._delete_rows_after(step)
        if self._writer is not None:
            self._board = self._writer(str(self._folder / "tensorboard"), purge_step=step + 1)

    def log_row(self, row: dict[str, Any]) -> None:
        """Write a row: its `step`, and numbers by name."""
        if not self._main:
            return
        with (self._folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self._board is not None:
            for name, value in row.items():
                if name != "step":
                    self._board.add_scalar(_name_tag(name), value, row["step"])

    def close(self) -> None:
        """Close TensorBoard's files."""
        if self._board is not None:
            self._board.close()

    def _delete_rows_after(self, step: int) -> None:
        """Delete the rows of later steps, and a line that a kill cut off."""
        file = self._folder / "metrics.jsonl"
        if not file.is_file():
            return
        rows = []
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    rows.append(line + "\n")
            except ValueError:
                continue
        with atomic_file(file) as new_file:
            new_file.write_text("".join(rows), encoding="utf-8")


def _name_tag(name: str) -> str:
    return f"held_out/{name.removeprefix(_HELD_OUT)}" if name.startswith(_HELD_OUT) else f"train/{name}"


def _import_writer() -> Any:
    require_extra("tensorboard", "tensorboard", purpose="train.backbone.tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter
