"""Low-rank adapters (LoRA) on a reward model, with `peft`; the head is trained in full and saved with them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from torch import nn

from curate.core.extras import require_extra
from curate.reward.model import RewardModel, VisionModel

if TYPE_CHECKING:
    from curate.config.train import LoraSection
    from curate.reward.tokens import Ids


Model = TypeVar("Model", RewardModel, VisionModel)


def add_adapters(model: Model, lora: LoraSection, *, separator: Ids | None = None) -> Model:
    """Return the model with frozen weights and trainable adapters beside them, which change nothing at the start.

    A model with a plain head becomes a sequence classifier, and its head goes into `modules_to_save`: peft then loads
    backbone and head from one folder. A vision-language model has no such classifier.

    Args:
        model: Reward model without adapters.
        lora: Rank, scale, dropout and layers. For a vision-language model, `all-linear` means the linear layers of its
            language part.
        separator: Token of a joint sequence, whose vector is trained as well; None where responses stand alone.

    Raises:
        MissingExtraError: `peft` is not installed.
    """
    require_extra("lora", "peft", purpose="train.backbone.lora")
    from peft import LoraConfig, TaskType, get_peft_model

    plain = isinstance(model, RewardModel) and model.shape.is_plain
    whole = model.to_classifier() if isinstance(model, RewardModel) and plain else model.backbone
    targets: Any = lora.targets
    if isinstance(model, VisionModel) and targets == "all-linear":
        targets = _list_language_layers(whole)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # a float works too
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type=TaskType.SEQ_CLS if plain else None,
        modules_to_save=["score"] if plain else None,
        trainable_token_indices=list(separator) if separator else None,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft calls Transformers by names that are deprecated
        adapters = get_peft_model(whole, config)
    if plain:
        return type(model)(whole.base_model, whole.score, model.shape, adapters=adapters)
    return type(model)(whole, model.head, model.shape, adapters=adapters)


def _list_language_layers(backbone: Any) -> list[str]:
    """List the names of the linear layers in the language part of a vision-language model."""
    language = {id(module) for module in backbone.get_decoder().modules()}
    return [
        name
        for name, module in backbone.named_modules()
        if isinstance(module, nn.Linear) and id(module) in language
    ]
