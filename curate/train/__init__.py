"""Training a reward model on preference pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.core.progress import Track, no_progress

if TYPE_CHECKING:
    from curate.config.project import Config
    from curate.lake.lake import Lake
    from curate.lake.runs import Summary

__all__ = ["check_packages", "train_reward_model"]


def train_reward_model(lake: Lake, config: Config, data: Path, *, track: Track = no_progress) -> Summary:
    """Train the reward model of `config.train` and save it to `config.train.path`.

    A training that was done before, on the same rows with the same settings, is recognised and not repeated; torch is
    not even loaded then.

    Args:
        lake: Lake that receives the run and the accuracy on held-out data.
        config: Configuration with a section `train`: a head on sentence embeddings or, with `train.backbone`, a
            fine-tuned language model.
        data: File or folder of preference pairs: an export of `curate`, or any TRL preference data set.
        track: Makes the progress bars.

    Returns:
        Summary of the run; its note states the held-out accuracy.

    Raises:
        CurateError: There is no section `train`, the data have no usable pair, or the model cannot be opened.
        MissingExtraError: A package that training needs is not installed.
    """
    check_packages()
    section = config.train
    if section is None:
        raise CurateError(
            "curate.yaml has no section `train`: add one to train a reward model, such as "
            "`train: {path: models/reward, embedder: sentence-transformers/all-MiniLM-L6-v2}`."
        )
    if section.backbone is not None:
        from curate.train.language_model import fine_tune_backbone

        return fine_tune_backbone(lake, config, section, section.backbone, data, track=track)
    from curate.train.embedding_model import fit_embedding_reward

    return fit_embedding_reward(lake, config, section, data, track=track)


def check_packages() -> None:
    """Raise MissingExtraError if a package that training needs is not installed; import none of them."""
    modules = ("torch", "transformers", "sentence_transformers", "safetensors", "accelerate")
    require_extra("models", *modules, purpose="Training a reward model")
