"""From a preference data set to a reward model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from curate.core.extras import require_extra
from curate.core.progress import Track, no_progress

if TYPE_CHECKING:
    from curate.config.project import Config
    from curate.lake.lake import Lake
    from curate.lake.runs import Summary

__all__ = ["check_packages", "train_reward_model"]


def train_reward_model(lake: Lake, config: Config, data: Path, *, track: Track = no_progress) -> Summary:
    """Train the reward model of `config.train` on the preference pairs in `data` and save it.

    `data`: an export of `curate` or any TRL preference data set (a file, or a folder of them). Training that
    has been done already, on the same rows with the same settings, is recognised without loading torch.
    """
    check_packages()
    from curate.train.stage import run_train_stage as run

    return run(lake, config, data, track=track)


def check_packages() -> None:
    """Raise MissingExtraError if what training needs is not installed; import none of it."""
    modules = ("torch", "transformers", "sentence_transformers", "safetensors", "accelerate")
    require_extra("models", *modules, purpose="Training a reward model")
