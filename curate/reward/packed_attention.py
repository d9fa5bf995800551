"""Attention over a packed row: each stretch by itself, without a mask over the whole row.

A mask of T × T would compute (and on a CPU store) mostly forbidden cells. Here the tokens of a span attend
causally to each other, and each branch to the span's tokens and its own: the cells that are needed and no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from curate.reward.packing import Span

NAME = "curate_packed"  # under which Transformers finds it; it builds no mask for names it has no mask function for


def attend_packed(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    spans: Sequence[Span],
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Transformers' attention interface. `query` [1, H, T, d]; `key`, `value` [1, H/g, T, d] → [1, T, H, d].

    `spans` must cover the row without gaps. Soft-capped logits and attention sinks are refused, not ignored.
    """
    if attention_mask is not None or softcap is not None or s_aux is not None:
        raise NotImplementedError(
            "packed rows know neither padding masks nor soft-capped logits nor attention sinks"
        )
    length = query.shape[2]
    if query.shape[0] != 1 or not spans or spans[0].start != 0 or spans[-1].stop != length:
        raise ValueError(f"the spans do not cover one row of {length} tokens (batch of {query.shape[0]})")
    pieces: list[Tensor] = []

    def attend(queries: slice, keys: tuple[slice, ...]) -> None:
        """The last of `keys` is where the queries are: causal there, and all of what comes before."""
        mine = query[:, :, queries]
        theirs, values = (
            each[:, :, keys[0]] if len(keys) == 1 else torch.cat([each[:, :, part] for part in keys], dim=2)
            for each in (key, value)
        )
        mask = _build_mask(mine.shape[2], theirs.shape[2], sliding_window, query.device)
        pieces.append(
            functional.scaled_dot_product_attention(
                mine,
                theirs,
                values,
                attn_mask=mask,
                is_causal=mask is None,
                dropout_p=dropout,
                scale=scaling,
                enable_gqa=key.shape[1] != query.shape[1],
            )
        )

    for span in spans:
        trunk = slice(span.start, span.start + span.length)
        attend(trunk, (trunk,))
        start = trunk.stop
        for size in span.branches:
            branch = slice(start, start + size)
            attend(branch, (trunk, branch))
            start += size
    return torch.cat(pieces, dim=2).transpose(1, 2), None


def register_attention() -> None:
    """Make it known to Transformers (again does nothing)."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend_packed)


def _build_mask(queries: int, keys: int, window: int | None, device: torch.device) -> Tensor | None:
    """bool[queries, keys]: key j is seen by query i when j ≤ i + keys − queries and it is within the window."""
    narrow = window is not None and window < keys
    if queries == keys and not narrow:
        return None
    place = torch.arange(keys - queries, keys, device=device)[:, None]
    other = torch.arange(keys, device=device)[None, :]
    seen = other <= place
    return seen & (other > place - window) if narrow and window is not None else seen
