"""Which files of a folder `curate train` wrote: only these are ever replaced by the next training."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path

NOUN = "a reward model that `curate train` wrote"
_EMBEDDING_FILES = frozenset({"config.json", "head.safetensors", "prompts.safetensors"})
# What a fine-tuned backbone may consist of, for folders whose training.json does not list its files yet.
_BACKBONE_FILES = (
    "training.json",
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


def list_model_files(folder: Path) -> frozenset[str]:
    """List the files of a saved reward model, as relative paths; none where the folder holds no such model."""
    about = _read_json(folder / "training.json")
    if str(about.get("format")).startswith("curate-backbone-reward/"):
        if isinstance(about.get("files"), list):
            return frozenset(map(str, about["files"]))
        names = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
        return frozenset(name for name in names if any(fnmatch(name, known) for known in _BACKBONE_FILES))
    if str(_read_json(folder / "config.json").get("format")).startswith("curate-embedding-reward/"):
        return _EMBEDDING_FILES
    return frozenset()


def _read_json(file: Path) -> dict[str, object]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
