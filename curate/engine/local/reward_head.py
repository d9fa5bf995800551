"""Value heads on a decoder: they turn the hidden state at the last token into a reward.

A linear head with one output is saved as Transformers' own sequence-classification model. Any other head is saved as
the backbone with two files beside it, `reward_head.json` (its shape) and `reward_head.safetensors` (its weights). Its
`config.json` names a model type that Transformers does not know, so that nobody opens it with a random head of another
shape: loading fails, and the type says what to do.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from curate.engine.weights import ARCHITECTURE

_HEAD = "reward_head"
MODEL_TYPE = "curate reward model with a head of its own: open it with curate.reward.open_reward_model"
_BACKBONE_TYPE = "curate_backbone_type"


@dataclass(frozen=True, slots=True)
class HeadShape:
    """The shape of a value head.

    Attributes:
        head: `linear` (no bias) or `mlp`.
        units: Hidden units of an `mlp`.
        output: One scalar, the logits of ordered levels, or one output for each aspect.
        levels: Number of levels of an ordinal head.
        aspects: Names of the aspects.
        weights: Weight of each aspect in the score, which is their weighted mean.
    """

    head: Literal["linear", "mlp"] = "linear"
    units: int = 1024
    output: Literal["scalar", "ordinal", "aspects"] = "scalar"
    levels: int = 5
    aspects: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()

    @property
    def n_outputs(self) -> int:
        return {"scalar": 1, "ordinal": self.levels, "aspects": len(self.aspects)}[self.output]

    @property
    def is_plain(self) -> bool:
        """Tells whether Transformers' sequence classification has such a head."""
        return self.head == "linear" and self.output == "scalar"


class MlpHead(nn.Module):
    """Linear → SiLU → Linear, starting with scores near 0."""

    def __init__(self, size: int, units: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(size, units), nn.Linear(units, outputs)
        nn.init.normal_(self.first.weight, std=size**-0.5, generator=generator)
        nn.init.normal_(self.last.weight, std=0.01, generator=generator)
        nn.init.zeros_(self.first.bias)
        nn.init.zeros_(self.last.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        outputs: Tensor = self.last(functional.silu(self.first(hidden)))
        return outputs


def make_head(size: int, shape: HeadShape, generator: torch.Generator) -> nn.Linear | MlpHead:
    """Make a head with random weights.

    Args:
        size: Length of a hidden state.
        shape: Shape of the head.
        generator: Source of the weights.
    """
    if shape.head == "mlp":
        return MlpHead(size, shape.units, shape.n_outputs, generator)
    head = nn.Linear(size, shape.n_outputs, bias=False)
    nn.init.normal_(head.weight, std=size**-0.5, generator=generator)
    return head


def read_score(outputs: Tensor, shape: HeadShape) -> Tensor:
    """Return the score, float[…], of the outputs of a head, float[…, outputs].

    It is the scalar, the expected level (0 … levels − 1) of the ordinal distribution, or the weighted mean of the
    aspects.
    """
    if outputs.shape[-1] != shape.n_outputs:
        raise ValueError(f"{outputs.shape[-1]} outputs of a head with {shape.n_outputs}")
    if shape.output == "scalar":
        return outputs.squeeze(-1)
    if shape.output == "aspects":
        weights = torch.tensor(shape.weights, dtype=outputs.dtype, device=outputs.device)
        return outputs @ (weights / weights.sum())
    levels = torch.arange(shape.levels, dtype=outputs.dtype, device=outputs.device)
    return torch.softmax(outputs, dim=-1) @ levels


def has_own_head(folder: Path) -> bool:
    """Tell whether the model in a folder has a head that `save_head` wrote."""
    return (folder / f"{_HEAD}.json").is_file()


def save_head(head: nn.Module, shape: HeadShape, folder: Path) -> None:
    """Write the head beside its backbone, which must have been saved there."""
    from safetensors.torch import save_file

    save_file(
        {name: tensor.contiguous() for name, tensor in head.state_dict().items()},
        folder / f"{_HEAD}.safetensors",
    )
    (folder / f"{_HEAD}.json").write_text(json.dumps(asdict(shape)) + "\n", encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    named = {"architectures": [ARCHITECTURE], "model_type": MODEL_TYPE, _BACKBONE_TYPE: config["model_type"]}
    text = json.dumps(config | named, indent=2, ensure_ascii=False)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")


def load_config(source: str | Path, **hub: Any) -> Any:
    """Load the configuration of a model, or of the backbone below a head that `save_head` wrote."""
    from transformers import AutoConfig

    if not has_own_head(Path(source)):
        return AutoConfig.from_pretrained(source, **hub)
    fields = json.loads((Path(source) / "config.json").read_text(encoding="utf-8"))
    kind = fields.pop(
        _BACKBONE_TYPE, fields["model_type"]
    )  # folders of earlier versions name the backbone itself
    return AutoConfig.for_model(**fields | {"model_type": kind})


def load_head(folder: Path, size: int) -> tuple[nn.Linear | MlpHead, HeadShape]:
    """Read what `save_head` wrote. Raises OSError, ValueError or TypeError where it is broken."""
    from safetensors.torch import load_file

    fields = json.loads((folder / f"{_HEAD}.json").read_text(encoding="utf-8"))
    lists = {name: tuple(fields[name]) for name in ("aspects", "weights") if name in fields}
    shape = HeadShape(**fields | lists)
    head = make_head(size, shape, torch.Generator())
    head.load_state_dict(load_file(folder / f"{_HEAD}.safetensors"))
    return head, shape


class HeadedModel(nn.Module):
    """A saved backbone with a head of its own, asked like a sequence classifier with one label."""

    def __init__(self, backbone: Any, head: nn.Module, shape: HeadShape) -> None:
        super().__init__()
        self.backbone, self.head, self.shape = backbone, head.float(), shape
        text = backbone.config.get_text_config()
        self.config = SimpleNamespace(num_labels=1, get_text_config=lambda: text)

    @property
    def device(self) -> torch.device:
        device: torch.device = self.backbone.device
        return device

    @classmethod
    def load(cls, folder: Path, *, dtype: torch.dtype) -> Self:
        from transformers import AutoModel

        backbone = AutoModel.from_pretrained(folder, config=load_config(folder), dtype=dtype)
        return cls(backbone, *load_head(folder, backbone.config.get_text_config().hidden_size))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **images: Tensor) -> SimpleNamespace:
        """Return `logits` float32[B, 1] at the last token that is no padding token, as Transformers does it.

        Args:
            input_ids: int64[B, L], tokens padded on the right.
            attention_mask: int64[B, L], 0 at padding.
            images: Further inputs of a vision-language backbone.
        """
        hidden = self.backbone(
            input_ids=input_ids, attention_mask=attention_mask, use_cache=False, **images
        ).last_hidden_state
        real = attention_mask.bool() & (input_ids != self.config.get_text_config().pad_token_id)
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        last = (places * real).argmax(dim=1)
        outputs = self.head(hidden[torch.arange(len(last), device=last.device), last].float())
        return SimpleNamespace(logits=read_score(outputs, self.shape)[:, None])
