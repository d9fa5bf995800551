"""Where the models of a cross-fitted backbone lie: in the folder of the model, one folder a fold."""

from __future__ import annotations

from pathlib import Path

FOLDS = "folds"


def get_fold_folder(folder: Path, fold: int) -> Path:
    """Return the folder of the model that was trained without a fold (counted from 0)."""
    return folder / FOLDS / str(fold + 1)


def list_fold_folders(folder: Path) -> list[Path]:
    """List the folders of the models of all folds, none where the model in `folder` is not cross-fitted."""
    folders: list[Path] = []
    while (last := get_fold_folder(folder, len(folders))).is_dir():
        folders.append(last)
    return folders
