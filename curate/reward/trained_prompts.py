"""The prompts that a fine-tuned backbone was trained on: about these, it is no judge of its own training labels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from curate.core.errors import CurateError
from curate.reward.embedding_reward import hash_prompt_id
from curate.reward.model_folder import BACKBONE, read_trained_kind

FILE = "trained_prompts.bin"
_SIZE = 16


def save_trained_prompts(folder: Path, prompt_ids: Iterable[str]) -> None:
    """Write the digests of the prompts into the folder of a model."""
    (folder / FILE).write_bytes(b"".join(sorted({hash_prompt_id(prompt_id) for prompt_id in prompt_ids})))


class TrainedPrompts:
    """The prompts of a model's training set; empty for models that `curate train` did not fine-tune."""

    def __init__(self, digests: bytes = b"") -> None:
        self.digests = digests
        self._prompts = frozenset(digests[start : start + _SIZE] for start in range(0, len(digests), _SIZE))

    @classmethod
    def read(cls, folder: Path) -> TrainedPrompts:
        """Read the prompts of the model in a folder.

        Raises:
            CurateError: The model was fine-tuned by `curate train`, and does not say on which prompts.
        """
        if read_trained_kind(folder) != BACKBONE:
            return cls()
        try:
            return cls((folder / FILE).read_bytes())
        except OSError:
            raise CurateError(
                f"The reward model in {folder} does not say which prompts it was trained on, so it could judge its own "
                "training labels: run `curate train` again."
            ) from None

    def __contains__(self, prompt_id: str) -> bool:
        return hash_prompt_id(prompt_id) in self._prompts
