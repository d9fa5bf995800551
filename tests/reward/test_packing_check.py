"""Backbones that would give wrong scores in a packed row are found by trying, and refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from curate.core.errors import CurateError
from curate.reward import packing_check
from curate.reward.model import RewardModel
from curate.reward.packing_check import check_packing
from tests.reward.test_packed_model import FAMILIES, SHAPE, backbone


def hybrid() -> Any:
    """A random Falcon-H1: each layer has attention, and a state-space part that knows no segments."""
    from transformers import AutoModel, FalconH1Config

    config = FalconH1Config(
        **SHAPE,
        initializer_range=0.3,
        mamba_d_ssm=32,
        mamba_n_heads=4,
        mamba_d_head=8,
        mamba_d_state=8,
        mamba_chunk_size=8,
    )
    torch.manual_seed(0)
    return AutoModel.from_config(config).eval()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_attention_alone_is_exact(family: str, dtype: torch.dtype) -> None:
    check_packing(RewardModel.add_head(backbone(family).to(dtype)), name="m")


def test_a_layer_that_sees_its_neighbours_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = RewardModel.add_head(hybrid())
    with pytest.raises(
        CurateError, match=r"m cannot read several responses .*: it has layers of the kind hybrid"
    ):
        check_packing(model, name="m")
    monkeypatch.setattr(packing_check, "find_unknown_layers", lambda *_: None)
    with pytest.raises(CurateError, match="its hidden states are off by"):
        check_packing(model, name="m")


def test_soft_capped_logits_and_chunked_attention_are_refused() -> None:
    from transformers import AutoModel, Gemma2Config

    config = Gemma2Config(**SHAPE, head_dim=8, query_pre_attn_scalar=8, attn_logit_softcapping=50.0)
    with pytest.raises(CurateError, match="soft-capped logits"):
        check_packing(RewardModel.add_head(AutoModel.from_config(config)), name="m")
    chunked = RewardModel.add_head(backbone())
    chunked.backbone.config.layer_types = ["chunked_attention"] * 3
    with pytest.raises(CurateError, match="layers of the kind chunked_attention"):
        check_packing(chunked, name="m")
