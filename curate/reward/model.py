"""Language models with a value head that score responses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from curate.core.errors import CurateError
from curate.engine.local.reward_head import (
    HeadShape,
    has_own_head,
    load_config,
    load_head,
    make_head,
    read_score,
    save_head,
)
from curate.engine.local.vision import move_inputs
from curate.reward import packed_attention
from curate.reward.packing import PackedBatch, PaddedBatch


class RewardModel(nn.Module):
    """A decoder with a value head, which scores packed responses.

    The score of a response is the head's value of the hidden state at its last token, in whatever layout it is packed.

    Args:
        backbone: A Transformers decoder without its language head.
        head: The head; it computes in 32 bits.
        shape: Its shape; default: linear with one output.
        adapters: The PeftModel around backbone (and plain head), if there is one.
    """

    def __init__(
        self, backbone: Any, head: nn.Module, shape: HeadShape | None = None, *, adapters: Any = None
    ) -> None:
        super().__init__()
        packed_attention.register_attention()
        backbone.set_attn_implementation(packed_attention.NAME)
        self.backbone = backbone
        self.head: Any = head.float()
        self.shape = shape or HeadShape()
        self._adapters = (adapters,)  # in a tuple: the same parameters must not be registered a second time

    @property
    def peft_model(self) -> Any:
        """The PeftModel around backbone (and plain head), or None."""
        return self._adapters[0]

    @classmethod
    def add_head(cls, backbone: Any, shape: HeadShape | None = None, *, seed: int = 0) -> Self:
        """Return a model with a new head: by default linear, without a bias, with one output."""
        shape = shape or HeadShape()
        generator = torch.Generator().manual_seed(seed)
        return cls(
            backbone, make_head(backbone.config.get_text_config().hidden_size, shape, generator), shape
        )

    def forward(self, packed: PackedBatch) -> Tensor:
        """Return the outputs of the head for the R packed responses, float32[R, outputs]."""
        hidden = self.hide(packed)
        with torch.autocast(
            hidden.device.type, enabled=False
        ):  # scores near 20 in bfloat16 have steps of 1/8
            outputs: Tensor = self.head(hidden.float())
        return outputs

    def hide(self, packed: PackedBatch) -> Tensor:
        """Return the hidden states at the last tokens of the R packed responses, float[R, d]."""
        packed = packed.to(self.backbone.device)
        hidden: Tensor = self.backbone(
            input_ids=packed.tokens, position_ids=packed.positions, segments=packed.segments, use_cache=False
        ).last_hidden_state
        return hidden[0, packed.last]

    def score(self, packed: PackedBatch) -> Tensor:
        """Return the scores of the R packed responses, float32[R]."""
        return read_score(self(packed), self.shape)

    def save(self, folder: Path) -> None:
        """Write the model so that `load` gives the same scores; Transformers reads one with a plain head too."""
        if isinstance(self.head, nn.Linear) and self.shape.is_plain:
            self.to_classifier().save_pretrained(folder)
            return
        self.backbone.save_pretrained(folder)
        save_head(self.head, self.shape, folder)

    @classmethod
    def load(cls, folder: Path | str, *, dtype: torch.dtype = torch.float32, **hub: Any) -> Self:
        """Read a model that `save` wrote, or any one-label sequence-classification model with a decoder."""
        from transformers import AutoModel, AutoModelForSequenceClassification

        try:
            if has_own_head(Path(folder)):
                backbone = AutoModel.from_pretrained(folder, config=load_config(folder), dtype=dtype)
                return cls(backbone, *load_head(Path(folder), backbone.config.get_text_config().hidden_size))
            classifier = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype, **hub)
            return cls(classifier.base_model, _load_linear_head(classifier, Path(folder)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CurateError(
                f"Cannot read a reward model from {folder}: {' '.join(str(error).split())}"
            ) from error

    def merge_adapters(self) -> RewardModel:
        """Return a model with the adapters added into the weights. This model must not be used afterwards."""
        whole = self.peft_model.merge_and_unload()
        if self.shape.is_plain:
            return RewardModel(whole.base_model, whole.score, self.shape)
        return RewardModel(whole, self.head, self.shape)

    def to_classifier(self) -> Any:
        """Return a copy as the backbone's own sequence-classification model with one label."""
        from transformers import AutoModelForSequenceClassification

        config = type(self.backbone.config).from_dict({**self.backbone.config.to_dict(), "num_labels": 1})
        whole = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
            config, dtype=self.backbone.dtype
        )
        whole.base_model.load_state_dict(self.backbone.state_dict())
        whole.score.to(torch.float32).load_state_dict(self.head.state_dict())
        return whole


class EncoderModel(nn.Module):
    """An encoder (BERT, ModernBERT, MiniLM …) as Transformers' own sequence classifier with one label.

    Tokens see each other in both directions, so responses cannot share a prompt: each is read with its own copy of the
    prompt, in a padded batch.
    """

    def __init__(self, classifier: Any) -> None:
        super().__init__()
        self.classifier = classifier
        self.shape = HeadShape()

    def forward(self, padded: PaddedBatch) -> Tensor:
        """Return the logits of R rows, float32[R, 1]."""
        inputs = {"input_ids": padded.tokens, "attention_mask": padded.mask}
        if padded.types is not None:
            inputs["token_type_ids"] = padded.types
        logits: Tensor = self.classifier(**inputs).logits
        return logits.float()

    def score(self, padded: PaddedBatch) -> Tensor:
        return read_score(self(padded), self.shape)

    def save(self, folder: Path) -> None:
        self.classifier.save_pretrained(folder)


class VisionModel(nn.Module):
    """A vision-language model with a value head.

    The score is the head's value of the hidden state at a response's last token. Models differ in where the tokens of
    an image are and which of them see each other. Those that are known by trial to compute packed rows exactly
    (`curate.reward.vision_check`) read them after `use_packing`; others read each response with its own copy of the
    prompt, images included, in a padded batch.

    Args:
        backbone: A Transformers vision-language model without its language head.
        head: The head; it computes in 32 bits.
        shape: Its shape.
        adapters: The PeftModel around the backbone, if there is one.
    """

    def __init__(self, backbone: Any, head: nn.Module, shape: HeadShape, *, adapters: Any = None) -> None:
        super().__init__()
        self.backbone, self.head, self.shape = backbone, head.float(), shape
        self._adapters = (adapters,)  # as in RewardModel

    @property
    def peft_model(self) -> Any:
        """The PeftModel around the backbone, or None."""
        return self._adapters[0]

    @classmethod
    def add_head(cls, backbone: Any, shape: HeadShape, *, seed: int = 0) -> Self:
        generator = torch.Generator().manual_seed(seed)
        return cls(
            backbone, make_head(backbone.config.get_text_config().hidden_size, shape, generator), shape
        )

    def use_packing(self) -> None:
        """Let the language part read packed rows; it reads no padded batches from then on."""
        packed_attention.register_attention()
        self.backbone.set_attn_implementation({"text_config": packed_attention.NAME})

    def use_padding(self, attention: str) -> None:
        """Let the language part read padded batches again, with an attention function of Transformers."""
        self.backbone.set_attn_implementation({"text_config": attention})

    def forward(self, batch: PackedBatch | PaddedBatch) -> Tensor:
        """Return the outputs of the head for R responses, float32[R, outputs]."""
        hidden = self.hide(batch)
        with torch.autocast(hidden.device.type, enabled=False):
            outputs: Tensor = self.head(hidden.float())
        return outputs

    def hide(self, batch: PackedBatch | PaddedBatch) -> Tensor:
        """Return the hidden states at the last tokens of R responses, float[R, d]."""
        batch = batch.to(self.backbone.device)
        images = move_inputs(batch.images, self.backbone)
        if isinstance(batch, PackedBatch):
            row: Tensor = self.backbone(
                input_ids=batch.tokens,
                position_ids=batch.positions,
                segments=batch.segments,
                use_cache=False,
                **images,
            ).last_hidden_state
            return row[0, batch.last]
        hidden: Tensor = self.backbone(
            input_ids=batch.tokens, attention_mask=batch.mask, use_cache=False, **images
        ).last_hidden_state
        return hidden[torch.arange(len(hidden), device=hidden.device), batch.mask.sum(dim=1) - 1]

    def score(self, batch: PackedBatch | PaddedBatch) -> Tensor:
        """Return the scores of R responses, float32[R]."""
        return read_score(self(batch), self.shape)

    def save(self, folder: Path) -> None:
        """Write the model so that `load` gives the same scores; Transformers has no classifier of such backbones."""
        self.backbone.save_pretrained(folder)
        save_head(self.head, self.shape, folder)

    @classmethod
    def load(cls, folder: Path, *, dtype: torch.dtype = torch.float32) -> Self:
        """Read a model that `save` wrote."""
        from transformers import AutoModel

        backbone = AutoModel.from_pretrained(folder, config=load_config(folder), dtype=dtype)
        return cls(backbone, *load_head(folder, backbone.config.get_text_config().hidden_size))

    def merge_adapters(self) -> VisionModel:
        """Return a model with the adapters added into the weights. This model must not be used afterwards."""
        return VisionModel(self.peft_model.merge_and_unload(), self.head, self.shape)


def _load_linear_head(classifier: Any, folder: Path) -> nn.Linear:
    """Load the head of a classifier from its file: the one in memory is rounded in a half-precision model."""
    from safetensors import safe_open

    head = getattr(classifier, "score", None)
    if not isinstance(head, nn.Linear) or head.out_features != 1 or set(head.state_dict()) != {"weight"}:
        kind = type(classifier).__name__
        raise ValueError(f"{kind} has no linear head with one label on its last token.")
    head = head.float()
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as stored:
            if "score.weight" in stored.keys():  # noqa: SIM118 (no mapping)
                head.load_state_dict({"weight": stored.get_tensor("score.weight")})
    return head
