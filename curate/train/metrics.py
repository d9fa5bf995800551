"""What is written down of a training: a line of JSON per step and, where it is wanted, TensorBoard's event files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curate.core.atomic import atomic_file
from curate.core.extras import require_extra

_HELD_OUT = "held_out_"


class MetricsLog:
    """`metrics.jsonl` in `folder`, and `tensorboard/` beside it. The `main` process writes.

    metrics = Metrics(folder, tensorboard=True)
    metrics.begin(progress.step)
    metrics.log({"step": 1, "loss": 0.69, "held_out_loss": 0.70})   # train/loss and held_out/loss
    """

    def __init__(self, folder: Path, *, main: bool = True, tensorboard: bool = False) -> None:
        """Raises MissingExtraError where TensorBoard is wanted and not installed."""
        self._folder, self._main = folder, main
        self._writer: Any = _import_writer() if tensorboard and main else None
        self._board: Any = None

    def begin(self, step: int) -> None:
        """Go on after `step`: what was written of later ones, which are made again, goes."""
        if not self._main:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self._forget_after(step)
        if self._writer is not None:
            self._board = self._writer(str(self._folder / "tensorboard"), purge_step=step + 1)

    def log(self, row: dict[str, Any]) -> None:
        """`row` has its `step`; the other values are numbers."""
        if not self._main:
            return
        with (self._folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self._board is not None:
            for name, value in row.items():
                if name != "step":
                    self._board.add_scalar(_name_tag(name), value, row["step"])

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

    def _forget_after(self, step: int) -> None:
        """Also a line that was cut off."""
        file = self._folder / "metrics.jsonl"
        if not file.is_file():
            return
        kept = []
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except ValueError:
                continue
        with atomic_file(file) as made:
            made.write_text("".join(kept), encoding="utf-8")


def _name_tag(name: str) -> str:
    return f"held_out/{name.removeprefix(_HELD_OUT)}" if name.startswith(_HELD_OUT) else f"train/{name}"


def _import_writer() -> Any:
    require_extra("tensorboard", "tensorboard", purpose="train.backbone.tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter
