"""From a preference data set to a reward model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from curate.progress import Track, silent

if TYPE_CHECKING:
    from curate.config import Config
    from curate.lake import Lake
    from curate.runs import Summary

__all__ = ["train"]


def train(lake: Lake, config: Config, data: Path, *, track: Track = silent) -> Summary:
    """Train the reward model of `config.train` on the preference pairs in `data` and save it.

    `data`: an export of `curate` or any TRL preference data set (a file, or a folder of them). Training that
    has been done already, on the same rows with the same settings, is recognised without loading torch.
    """
    from curate.train.stage import train as run

    return run(lake, config, data, track=track)
