"""Cross-fitting of a fine-tuned backbone: one more model for each fold of the prompts, trained without that fold.

A model is no judge of the labels that it was trained on. With `train.backbone.folds: K` the folder of the model holds K
further ones, and each prompt of the training set is judged by the one that has not seen it, so that the model adds a
vote on every prompt. It costs K more trainings, and K more copies of the weights.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from curate.core.atomic import atomic_directory
from curate.core.errors import CurateError
from curate.reward.embedding_reward import assign_fold
from curate.reward.fold_folders import FOLDS, get_fold_folder
from curate.reward.model_folder import NOUN, is_trained_model, list_model_files
from curate.train.examples import PromptGroup

TrainOne = Callable[[list[PromptGroup], str, Path], None]
"""Trains a model on some prompts under a name for its progress, and saves it to a folder."""


def train_fold_models(
    groups: Sequence[PromptGroup],
    prompt_ids: Sequence[str],
    folds: int,
    state: Path,
    train_one: TrainOne,
    *,
    main: bool,
) -> None:
    """Train and save the model of each fold under `state`; those that are there from a run that was killed stay.

    Args:
        groups: The prompts of the training set.
        prompt_ids: Ids of all prompts, by `PromptGroup.prompt`.
        folds: Number of folds K. Only its id decides in which fold a prompt is.
        state: Folder of this training's state.
        train_one: Trains and saves one model.
        main: Whether this process writes.

    Raises:
        CurateError: A fold holds all prompts, so there is nothing to train its model on.
    """
    fold = [assign_fold(prompt_ids[group.prompt], folds) for group in groups]
    for k in range(folds):
        rest = [group for group, own in zip(groups, fold, strict=True) if own != k]
        if not rest:
            raise CurateError(
                f"All {len(groups)} prompts to train on are in one of {folds} folds: add prompts, or leave out "
                "train.backbone.folds."
            )
        folder = get_fold_folder(state, k)
        if is_trained_model(folder):
            continue
        if not main:
            train_one(rest, f"fold {k + 1} of {folds}", folder)
            continue
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic_directory(folder, owned=list_model_files, noun=NOUN) as draft:
            train_one(rest, f"fold {k + 1} of {folds}", draft)


def copy_fold_models(state: Path, folder: Path, folds: int) -> None:
    """Copy the models of all folds from the state of a training into the folder of the model."""
    for k in range(folds):
        shutil.copytree(get_fold_folder(state, k), get_fold_folder(folder, k))


def remove_fold_models(state: Path) -> None:
    """Remove the copies that the state of a finished training still holds."""
    shutil.rmtree(state / FOLDS, ignore_errors=True)
