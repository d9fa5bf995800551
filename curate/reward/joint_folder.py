"""Folders of joint models: how they are recognised, and the separator of their responses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curate.core.errors import CurateError

SEPARATOR = "<|response_end|>"  # token between the responses of a joint sequence


def is_joint(folder: Path) -> bool:
    """Tell whether `curate train` made the model in a folder with `forward: joint`."""
    try:
        about = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        return bool(about["settings"]["forward"] == "joint")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def find_separator(tokenizer: Any, folder: Path) -> tuple[int, ...]:
    """Return the separator of a joint model.

    Raises:
        CurateError: Its tokenizer has none.
    """
    number = tokenizer.convert_tokens_to_ids(SEPARATOR)
    if number in (None, tokenizer.unk_token_id):
        raise CurateError(
            f"The reward model in {folder} was trained with `forward: joint`, and its tokenizer has no {SEPARATOR}: "
            "run `curate train` again."
        )
    return (int(number),)
