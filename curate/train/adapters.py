"""Low-rank adapters on a reward model, with `peft`; the head is trained in full and saved with them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from curate.backbone.model import RewardModel
from curate.errors import CurateError

if TYPE_CHECKING:
    from curate.backbone.tokens import Ids
    from curate.training_options import LoraSection


def with_adapters(model: RewardModel, lora: LoraSection, *, separator: Ids | None = None) -> RewardModel:
    """The same model with frozen weights and adapters beside them, which start as no change.

    With a plain head, backbone and head become a sequence classifier whose head is in `modules_to_save`: peft loads
    what it saves onto the same backbone, head included. The vector of the `separator` is trained as well.
    """
    try:
        from peft import LoraConfig, TaskType, get_peft_model
    except ImportError as error:
        raise CurateError(
            "train.backbone.lora needs the package peft: run `pip install curate[lora]`."
        ) from error
    plain = model.shape.plain
    whole = model.as_classifier() if plain else model.backbone
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # a float is taken
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        task_type=TaskType.SEQ_CLS if plain else None,
        modules_to_save=["score"] if plain else None,
        trainable_token_indices=list(separator) if separator else None,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks Transformers by names that go out of use
        adapters = get_peft_model(whole, config)
    if plain:
        return RewardModel(whole.base_model, whole.score, model.shape, adapters=adapters)
    return RewardModel(whole, model.head, model.shape, adapters=adapters)
