"""Low-rank adapters on a reward model, with `peft`; the head is trained in full and saved with them."""

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
    """The same model with frozen weights and adapters beside them, which start as no change.

    With a plain head, backbone and head become a sequence classifier whose head is in `modules_to_save`: peft loads
    what it saves onto the same backbone, head included. The vector of the `separator` is trained as well. A
    vision-language model has no such classifier; `all-linear` are the layers of its language part.
    """
    require_extra("lora", "peft", purpose="train.backbone.lora")
    from peft import LoraConfig, TaskType, get_peft_model

    plain = isinstance(model, RewardModel) and model.shape.plain
    whole = model.as_classifier() if isinstance(model, RewardModel) and plain else model.backbone
    targets: Any = lora.targets
    if isinstance(model, VisionModel) and targets == "all-linear":
        targets = _list_language_layers(whole)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # a float is taken
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type=TaskType.SEQ_CLS if plain else None,
        modules_to_save=["score"] if plain else None,
        trainable_token_indices=list(separator) if separator else None,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks Transformers by names that go out of use
        adapters = get_peft_model(whole, config)
    if plain:
        return type(model)(whole.base_model, whole.score, model.shape, adapters=adapters)
    return type(model)(whole, model.head, model.shape, adapters=adapters)


def _list_language_layers(backbone: Any) -> list[str]:
    """Names of the linear layers of a vision-language model's language part."""
    language = {id(each) for each in backbone.get_decoder().modules()}
    return [
        name
        for name, each in backbone.named_modules()
        if isinstance(each, nn.Linear) and id(each) in language
    ]
