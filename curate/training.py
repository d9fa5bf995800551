"""From the panel's labels to a reward model: the training set is an export like any other."""

from __future__ import annotations

import os

from curate.config import Config, ExportEntry
from curate.errors import CurateError
from curate.export import export
from curate.lake import Lake
from curate.progress import Track, silent
from curate.runs import Summary
from curate.train import train


def train_on_panel(lake: Lake, config: Config, *, track: Track = silent) -> Summary:
    """Export what judges and people say (iteration 0, so that no model learns from its own word) and train on it."""
    if config.train is None:
        raise CurateError("curate.yaml has no `train` section: add one to say where the model goes.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise CurateError(
            "Several processes train on one data set: make it first with `curate export`, and name its folder."
        )
    folder = config.resolve(config.workspace) / "training-set"
    entry = ExportEntry(path=str(folder), format="trl-preference", iteration=0)
    export(lake, config, entries=[entry], track=track)
    return train(lake, config, folder, track=track)
