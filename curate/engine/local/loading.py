"""Loading of Transformers models: precision, device, GGUF files unpacked once, and full-precision logits."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from curate.config.images import ImageAccess
from curate.core.atomic import temporary_beside
from curate.core.errors import CurateError
from curate.engine.chat_tokens import ChatTokens
from curate.engine.local.causal import CausalModel
from curate.engine.local.classifier import SequenceClassifier
from curate.engine.local.embedder import Embedder
from curate.engine.local.options import TransformersOptions
from curate.engine.local.reward_head import HeadedModel, has_own_head
from curate.engine.local.vision import VisionReward, VisionTokens
from curate.engine.local.vision_causal import VisionCausal
from curate.engine.weights import Task, Weights


def resolve_device(device: str) -> torch.device:
    """Return the device to load a model on; `auto` means a GPU if there is one."""
    if device != "auto":
        return torch.device(device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def resolve_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype to load a model in; `auto` means bfloat16 on a GPU and float32 anywhere else.

    `auto` asks nothing about the CPU: the same model must give the same scores on every one of them.
    """
    if precision != "auto":
        dtype: torch.dtype = getattr(torch, precision)
        return dtype
    return torch.bfloat16 if device.type == "cuda" else torch.float32


@contextlib.contextmanager
def silence_loading() -> Iterator[None]:
    """Silence the bars and advice that loading prints on standard error, where our own progress is shown."""
    from transformers.utils import logging as advice

    level = advice.get_verbosity()
    advice.set_verbosity(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        advice.set_verbosity(level)


def load_model(
    weights: Weights, task: Task, options: TransformersOptions, *, images: ImageAccess | None = None
) -> CausalModel | SequenceClassifier | VisionReward | Embedder:
    """Load a model for a task.

    Args:
        weights: The model's place.
        task: What it is for.
        options: Options of the engine.
        images: Says which images may be opened.

    Raises:
        CurateError: Its files are missing, broken or of another kind.
    """
    device = resolve_device(options.device)
    try:
        with silence_loading():
            dtype = resolve_dtype(options.dtype, device)
            if task == "embedding":
                return _load_embedder(weights, dtype, device, options)
            if task == "reward" and weights.sees_images:
                return _load_vision_reward(weights, dtype, device, options, images or ImageAccess())
            if task == "causal" and weights.is_vision_language and options.images:
                return _load_vision_causal(weights, dtype, device, options, images or ImageAccess())
            return (_load_causal if task == "causal" else _load_classifier)(weights, dtype, device, options)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CurateError(
            f"The model {options.model!r} cannot be opened as a {task} model: {' '.join(str(error).split())[:300]}"
        ) from error


def load_tokenizer(weights: Weights) -> ChatTokens:
    """Load the model's tokenizer alone; it has no limit of length."""
    from transformers import AutoTokenizer

    place = {"gguf_file": weights.gguf_file} if weights.gguf_file is not None else get_hub_arguments(weights)
    return ChatTokens(AutoTokenizer.from_pretrained(weights.source, **place), 1 << 30)


def _load_causal(
    weights: Weights, dtype: torch.dtype, device: torch.device, options: TransformersOptions
) -> CausalModel:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if weights.gguf_file is not None:
        source, hub = str(unpack_gguf(weights, dtype)), {}
    else:
        source, hub = weights.source, get_hub_arguments(weights)
    tokenizer = AutoTokenizer.from_pretrained(source, **hub)
    model: Any = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, **hub)
    model.to(device).eval()
    if dtype != torch.float32:
        model.set_output_embeddings(_Float32Head(model.get_output_embeddings()))
    tokens = ChatTokens(tokenizer, resolve_max_length(options, model, tokenizer))
    causal = CausalModel(model, tokens, options.budget)
    return causal.enable_trees() if options.share_prefixes else causal


def _load_classifier(
    weights: Weights, dtype: torch.dtype, device: torch.device, options: TransformersOptions
) -> SequenceClassifier:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(weights.source, **get_hub_arguments(weights))
    model: Any
    if has_own_head(Path(weights.source)):
        model = HeadedModel.load(Path(weights.source), dtype=dtype)
    else:
        model = AutoModelForSequenceClassification.from_pretrained(
            weights.source, dtype=dtype, **get_hub_arguments(weights)
        )
    outputs = model.config.num_labels
    if options.label is None and outputs != 1:
        raise CurateError(
            f"The model {options.model!r} has {outputs} outputs: say with `label` which of them is the reward."
        )
    if options.label is not None and options.label >= outputs:
        raise CurateError(
            f"The model {options.model!r} has {outputs} outputs, so `label` is at most {outputs - 1}."
        )
    tokens = ChatTokens(tokenizer, resolve_max_length(options, model, tokenizer))
    return SequenceClassifier(model.to(device).eval(), tokens, options.budget, options.label or 0)


def _load_vision_reward(
    weights: Weights,
    dtype: torch.dtype,
    device: torch.device,
    options: TransformersOptions,
    images: ImageAccess,
) -> VisionReward:
    processor = load_processor(weights.source)
    model = HeadedModel.load(Path(weights.source), dtype=dtype)
    tokens = VisionTokens(processor, resolve_max_length(options, model, processor.tokenizer), images)
    return VisionReward(model.to(device).eval(), tokens, options.budget)


def _load_vision_causal(
    weights: Weights,
    dtype: torch.dtype,
    device: torch.device,
    options: TransformersOptions,
    images: ImageAccess,
) -> VisionCausal:
    from transformers import AutoModelForImageTextToText

    hub = get_hub_arguments(weights)
    processor = load_processor(weights.source, **hub)
    model: Any = AutoModelForImageTextToText.from_pretrained(weights.source, dtype=dtype, **hub)
    model.to(device).eval()
    if dtype != torch.float32:
        model.set_output_embeddings(_Float32Head(model.get_output_embeddings()))
    tokens = VisionTokens(processor, resolve_max_length(options, model, processor.tokenizer), images)
    return VisionCausal(model, tokens, options.budget)


def load_processor(source: str, **hub: Any) -> Any:
    """Load the processor of a vision-language model.

    Some bring one for videos too, which Transformers opens only with torchvision.
    """
    from transformers import AutoProcessor

    try:
        return AutoProcessor.from_pretrained(source, **hub)  # type: ignore[no-untyped-call]
    except ImportError as error:
        raise CurateError(
            f"The processor of {source} needs a package that is not installed: run `pip install 'curate[vision]'` "
            f"({' '.join(str(error).split())[:120]})."
        ) from error


def _load_embedder(
    weights: Weights, dtype: torch.dtype, device: torch.device, options: TransformersOptions
) -> Embedder:
    from sentence_transformers import SentenceTransformer

    hub = get_hub_arguments(weights)
    model = SentenceTransformer(
        weights.source,
        device=str(device),
        local_files_only=not hub,
        model_kwargs={"dtype": dtype},  # else it takes the dtype that the model was saved as
        **hub,
    )
    if options.max_length is not None:
        model.max_seq_length = options.max_length
    return Embedder(model)


def get_hub_arguments(weights: Weights) -> dict[str, Any]:
    """Return the arguments of `from_pretrained` that name the commit on the hub."""
    return {"revision": weights.hub_revision} if weights.hub_revision else {}


def resolve_max_length(options: TransformersOptions, model: Any, tokenizer: Any) -> int:
    """Return the option `max_length`, or the least that model and tokenizer admit.

    Some tokenizers state a very large number where they do not know.
    """
    known = [
        getattr(model.config.get_text_config(), "max_position_embeddings", None),
        tokenizer.model_max_length,
    ]
    return options.max_length or min((length for length in known if length), default=1 << 30)


class _Float32Head(nn.Module):
    """An output layer in float32: logits near 20 in bfloat16 have steps of 1/8, and verdicts would tie."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(head.weight.detach().float(), requires_grad=False)
        bias = getattr(head, "bias", None)
        self.bias = None if bias is None else nn.Parameter(bias.detach().float(), requires_grad=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(hidden.float(), self.weight, self.bias)


def unpack_gguf(weights: Weights, dtype: torch.dtype) -> Path:
    """Return the folder of a GGUF file in the Transformers layout.

    It is kept in the user's cache, since unpacking takes ten times as long as loading. CURATE_CACHE (or XDG_CACHE_HOME)
    moves the cache.
    """
    base = os.environ.get("CURATE_CACHE")
    cache = Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "curate"
    folder = cache / "dense" / f"{weights.digest}-{str(dtype).removeprefix('torch.')}"
    if folder.is_dir():
        return folder
    with temporary_beside(folder) as temporary:
        _write_dense_model(weights, dtype, building := temporary / "model")
        with contextlib.suppress(OSError):  # another process was first
            building.rename(folder)
    return folder


def _write_dense_model(weights: Weights, dtype: torch.dtype, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(weights.source, gguf_file=weights.gguf_file)
        packed = AutoModelForCausalLM.from_pretrained(
            weights.source, gguf_file=weights.gguf_file, dtype=dtype
        )
    except ImportError as error:
        raise CurateError(
            f"GGUF files need two more packages ({error}): run `pip install 'curate[models]'`."
        ) from error
    config = packed.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    # A model read from GGUF refuses to be saved, so its weights move into a fresh one.
    dense: Any = AutoModelForCausalLM.from_config(config, dtype=dtype)  # type: ignore[no-untyped-call]
    dense.load_state_dict(packed.state_dict())
    dense.generation_config = packed.generation_config
    dense.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
