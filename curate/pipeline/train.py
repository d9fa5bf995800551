"""Train a reward model on the labels: on an ordinary export, or on the pairs that people have verified."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import polars as pl

from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.progress import Track, no_progress
from curate.export import write_exports
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.train import train_reward_model


def train_on_people(lake: Lake, config: Config, *, track: Track = no_progress) -> Summary:
    """Train on the pairs of the panel's training set that people have verified, and on no others."""
    train_set = _export_training_set(lake, config, track)
    verified = lake.frame(
        "SELECT prompt_id, if(outcome = 'a', response_a, response_b) AS chosen_id, "
        "if(outcome = 'a', response_b, response_a) AS rejected_id "
        "FROM preferences WHERE iteration = 0 AND status = 'verified'"
    )
    rows = pl.read_parquet(train_set / "**" / "*.parquet").join(verified, on=verified.columns, how="semi")
    if rows.is_empty():
        raise CurateError("People have verified no pair yet, so there is nothing to train on.")
    folder = config.resolve(config.workspace) / "gold-set"
    folder.mkdir(parents=True, exist_ok=True)
    rows.write_parquet(folder / "train.parquet")
    return train_reward_model(lake, config, folder, track=track)


def train_on_panel(lake: Lake, config: Config, *, track: Track = no_progress) -> Summary:
    """Export the labels of the panel (iteration 0, so that no model learns from its own labels) and train on them.

    A joint model compares all responses to a prompt at once, so it is given rankings; other models are given pairs.
    """
    if config.train is None:
        raise CurateError("curate.yaml has no `train` section: add one to say where the model goes.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise CurateError(
            "Several processes train on one data set: make it first with `curate export`, and name its folder."
        )
    backbone = config.train.backbone
    is_joint = backbone is not None and backbone.forward == "joint"
    layout = "ranking" if is_joint else "trl-preference"
    return train_reward_model(lake, config, _export_training_set(lake, config, track, layout), track=track)


def _export_training_set(lake: Lake, config: Config, track: Track, layout: str = "trl-preference") -> Path:
    folder = config.resolve(config.workspace) / "training-set"
    form: str | dict[str, Any] = layout
    if config.train is not None and config.train.backbone is not None and config.train.backbone.aspects:
        form = {"kind": form, "aspects": list(config.train.backbone.aspects)}
    entry = ExportEntry(path=str(folder), format=form, iteration=0)
    write_exports(lake, config, entries=[entry], track=track)
    return folder
