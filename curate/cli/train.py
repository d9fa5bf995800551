"""`curate train`: a reward model from the labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.documents import Stages
from curate.cli.opening import load_config, open_lake
from curate.cli.options import DEFAULT_CONFIG, ConfigPath
from curate.cli.tables import print_summaries
from curate.core.progress import progress_bars


def train_model(
    data: Annotated[
        Path | None,
        typer.Argument(help="Folder of an export or of any preference data set of TRL; default: the labels."),
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> Stages:
    """Train the reward model, by default on the present labels."""
    from curate.pipeline.train import train_on_panel
    from curate.train import train_reward_model

    with open_lake(settings := load_config(config)) as lake:
        if data is None:
            summary = train_on_panel(lake, settings, track=progress_bars)
        else:
            summary = train_reward_model(lake, settings, data, track=progress_bars)
        return print_summaries([summary])
