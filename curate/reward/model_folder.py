"""Folders of reward models that `curate train` wrote: how they are recognised, and which of their files are ours.

Only files that `list_model_files` names are ever replaced by the next training.
"""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

TrainedKind = Literal["embedding", "backbone"]
EMBEDDING: TrainedKind = "embedding"  # a head on frozen sentence embeddings
BACKBONE: TrainedKind = "backbone"  # a language model that was fine-tuned

NOUN = "a reward model that `curate train` wrote"
_EMBEDDING_FILES = frozenset({"config.json", "head.safetensors", "prompts.safetensors"})
# What a fine-tuned backbone may consist of, for folders whose training.json does not list its files yet.
_BACKBONE_FILES = (
    "training.json",
    "trained_prompts.bin",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    "reward_head.json",
    "reward_head.safetensors",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.json",
    "chat_template.jinja",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "adapter/README.md",
    "adapter/adapter_config.json",
    "adapter/adapter_model.safetensors",
)


def read_trained_kind(folder: Path) -> TrainedKind | None:
    """Return which kind of trained reward model a folder holds; None where `curate train` did not write it."""
    if str(_read_json(folder / "training.json").get("format")).startswith("curate-backbone-reward/"):
        return BACKBONE
    if str(_read_json(folder / "config.json").get("format")).startswith("curate-embedding-reward/"):
        return EMBEDDING
    return None


def is_trained_model(folder: Path) -> bool:
    """Tell whether a folder holds a reward model that `curate train` wrote."""
    return read_trained_kind(folder) is not None


def list_model_files(folder: Path) -> frozenset[str]:
    """List the files of a saved reward model, as relative paths; none where the folder holds no such model."""
    kind = read_trained_kind(folder)
    if kind is None:
        return frozenset()
    if kind == EMBEDDING:
        return _EMBEDDING_FILES
    listed = _read_json(folder / "training.json").get("files")
    if isinstance(listed, list):
        return frozenset(map(str, listed))
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return frozenset(name for name in names if any(fnmatch(name, known) for known in _BACKBONE_FILES))


def _read_json(file: Path) -> dict[str, object]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
