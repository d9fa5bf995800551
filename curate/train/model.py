"""A causal language model with a value head that scores responses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from curate.errors import CurateError
from curate.train import packed_attention
from curate.train.packing import Packed

HeadKind = Literal["linear", "mlp"]

_HEAD = "reward_head"


class MlpHead(nn.Module):
    """Linear → SiLU → Linear, starting with scores near 0."""

    def __init__(self, size: int, units: int, generator: torch.Generator) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(size, units), nn.Linear(units, 1)
        nn.init.normal_(self.first.weight, std=size**-0.5, generator=generator)
        nn.init.normal_(self.last.weight, std=0.01, generator=generator)
        nn.init.zeros_(self.first.bias)
        nn.init.zeros_(self.last.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        scores: Tensor = self.last(functional.silu(self.first(hidden)))
        return scores


class RewardModel(nn.Module):
    """`backbone` (any Transformers decoder, without its language head) and a head in 32 bits.

    The score of a response is the head's value of the hidden state at its last token, in whatever layout it is packed.
    """

    def __init__(self, backbone: Any, head: nn.Linear | MlpHead) -> None:
        super().__init__()
        packed_attention.register()
        backbone.set_attn_implementation(packed_attention.NAME)
        self.backbone = backbone
        self.head: nn.Linear | MlpHead = head.float()

    @classmethod
    def start(cls, backbone: Any, head: HeadKind = "linear", *, units: int = 1024, seed: int = 0) -> Self:
        """A new head on a backbone: linear without a bias, or Linear(units) → SiLU → Linear(1)."""
        size = backbone.config.get_text_config().hidden_size
        generator = torch.Generator().manual_seed(seed)
        return cls(
            backbone, linear_head(size, generator) if head == "linear" else MlpHead(size, units, generator)
        )

    def forward(self, packed: Packed) -> Tensor:
        """float32[R]: the scores of the packed responses."""
        hidden = self.backbone(
            input_ids=packed.tokens, position_ids=packed.positions, spans=packed.spans, use_cache=False
        ).last_hidden_state
        scores: Tensor = self.head(hidden[0, packed.last].float())
        return scores.squeeze(-1)

    def save(self, folder: Path) -> None:
        """Write it so that `load` gives the same scores; with a linear head, so does Transformers.

        A linear head is saved as the backbone's own sequence-classification model (one label), which
        `AutoModelForSequenceClassification` reads; any other as the backbone and a file for the head beside it.
        """
        if isinstance(self.head, nn.Linear):
            self._as_classifier(self.head).save_pretrained(folder)
            return
        from safetensors.torch import save_file

        self.backbone.save_pretrained(folder)
        save_file(self.head.state_dict(), folder / f"{_HEAD}.safetensors")
        (folder / f"{_HEAD}.json").write_text(
            json.dumps({"head": "mlp", "units": self.head.first.out_features})
        )

    @classmethod
    def load(cls, folder: Path, *, dtype: torch.dtype = torch.float32) -> Self:
        """Read a model of `save`, or any one-label sequence-classification model with a decoder, to go on with."""
        from transformers import AutoModel, AutoModelForSequenceClassification

        try:
            if not (folder / f"{_HEAD}.json").exists():
                found = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype)
                return cls(found.base_model, _linear_of(found, folder))
            units = json.loads((folder / f"{_HEAD}.json").read_text())["units"]
            backbone = AutoModel.from_pretrained(folder, dtype=dtype)
        except (OSError, ValueError, KeyError) as error:
            raise CurateError(
                f"Cannot read a reward model from {folder}: {' '.join(str(error).split())}"
            ) from error
        from safetensors.torch import load_file

        head = MlpHead(backbone.config.get_text_config().hidden_size, units, torch.Generator())
        head.load_state_dict(load_file(folder / f"{_HEAD}.safetensors"))
        return cls(backbone, head)

    def _as_classifier(self, head: nn.Linear) -> Any:
        from transformers import AutoModelForSequenceClassification

        config = type(self.backbone.config).from_dict({**self.backbone.config.to_dict(), "num_labels": 1})
        whole = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
            config, dtype=self.backbone.dtype
        )
        whole.base_model.load_state_dict(self.backbone.state_dict())
        whole.score.to(torch.float32).load_state_dict(head.state_dict())
        return whole


def linear_head(size: int, generator: torch.Generator) -> nn.Linear:
    head = nn.Linear(size, 1, bias=False)
    nn.init.normal_(head.weight, std=size**-0.5, generator=generator)
    return head


def _linear_of(classifier: Any, folder: Path) -> nn.Linear:
    """The head of a classifier, from its file: loading the model in half precision has rounded the one in memory."""
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
