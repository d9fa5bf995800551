"""Attention over a packed row, segment by segment, without a mask over the whole row.

With a mask of T × T most cells would be computed (and on a CPU stored) in vain. Here the tokens of a segment attend to
those on its path and causally to each other: no other cell is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from curate.reward.prefix_tree import Ranges, Segment

NAME = "curate_packed"  # under which Transformers finds it; it builds no mask for names it has no mask function for


def attend_to_packed_row(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    segments: Sequence[Segment],
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Compute attention over a packed row (an attention function of Transformers).

    Soft-capped logits and attention sinks are refused, and not ignored.

    Args:
        module: Ignored, like any other argument that is not named here.
        query: float[1, H, T, d].
        key: float[1, H/g, T, d].
        value: float[1, H/g, T, d].
        attention_mask: Must be None.
        segments: Segments that cover the row without gaps, a path before what it leads to.
        scaling: Factor of the logits.
        dropout: Probability to drop an attention weight.
        sliding_window: Number of tokens that a token sees at most.
        softcap: Must be None.
        s_aux: Must be None.

    Returns:
        float[1, T, H, d], and None in place of the weights.
    """
    if attention_mask is not None or softcap is not None or s_aux is not None:
        raise NotImplementedError(
            "packed rows know neither padding masks nor soft-capped logits nor attention sinks"
        )
    length = query.shape[2]
    starts = [0, *(segment.end for segment in segments)]
    if query.shape[0] != 1 or starts != [*(segment.start for segment in segments), length]:
        raise ValueError(f"the segments do not cover one row of {length} tokens (batch of {query.shape[0]})")
    pieces: list[Tensor] = []

    for segment in segments:
        queries = query[:, :, segment.start : segment.end]
        keys, values = (_take_ranges(tensor, segment) for tensor in (key, value))
        mask = _build_mask(segment.length, keys.shape[2], sliding_window, query.device)
        pieces.append(
            functional.scaled_dot_product_attention(
                queries,
                keys,
                values,
                attn_mask=mask,
                is_causal=mask is None,
                dropout_p=dropout,
                scale=scaling,
                enable_gqa=key.shape[1] != query.shape[1],
            )
        )
    return torch.cat(pieces, dim=2).transpose(1, 2), None


def register_attention() -> None:
    """Make `attend_to_packed_row` known to Transformers; a second call changes nothing."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend_to_packed_row)


def _take_ranges(tensor: Tensor, segment: Segment) -> Tensor:
    """Return the keys or values that a segment sees: those of its path and its own, without a copy where it can be."""
    ranges: Ranges = (*segment.path, (segment.start, segment.end))
    if len(segment.path) == 1 and segment.path[0][1] == segment.start:
        ranges = ((segment.path[0][0], segment.end),)
    parts = [tensor[:, :, start:end] for start, end in ranges]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def _build_mask(queries: int, keys: int, window: int | None, device: torch.device) -> Tensor | None:
    """Return bool[queries, keys]: query i sees key j when j ≤ i + keys − queries, within the window; None: causal."""
    narrow = window is not None and window < keys
    if queries == keys and not narrow:
        return None
    query_place = torch.arange(keys - queries, keys, device=device)[:, None]
    key_place = torch.arange(keys, device=device)[None, :]
    mask = key_place <= query_place
    return mask & (key_place > query_place - window) if narrow and window is not None else mask
