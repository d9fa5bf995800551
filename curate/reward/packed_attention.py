"""Attention over a packed row, span by span, without a mask over the whole row.

With a mask of T × T most cells would be computed (and on a CPU stored) in vain. Here the tokens of a span attend
causally to each other, and the tokens of a branch to those of the span and their own: no other cell is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from curate.reward.packing import Span

NAME = "curate_packed"  # under which Transformers finds it; it builds no mask for names it has no mask function for


def attend_to_packed_row(
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
    """Compute attention over a packed row (an attention function of Transformers).

    Soft-capped logits and attention sinks are refused, and not ignored.

    Args:
        module: Ignored, like any other argument that is not named here.
        query: float[1, H, T, d].
        key: float[1, H/g, T, d].
        value: float[1, H/g, T, d].
        attention_mask: Must be None.
        spans: Spans that cover the row without gaps.
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
    if query.shape[0] != 1 or not spans or spans[0].start != 0 or spans[-1].end != length:
        raise ValueError(f"the spans do not cover one row of {length} tokens (batch of {query.shape[0]})")
    pieces: list[Tensor] = []

    def attend_span(queries: slice, keys: tuple[slice, ...]) -> None:
        """Attend to all of `keys`; the last of them holds the queries themselves, causally."""
        span_queries = query[:, :, queries]
        span_keys, span_values = (
            tensor[:, :, keys[0]]
            if len(keys) == 1
            else torch.cat([tensor[:, :, part] for part in keys], dim=2)
            for tensor in (key, value)
        )
        mask = _build_mask(span_queries.shape[2], span_keys.shape[2], sliding_window, query.device)
        pieces.append(
            functional.scaled_dot_product_attention(
                span_queries,
                span_keys,
                span_values,
                attn_mask=mask,
                is_causal=mask is None,
                dropout_p=dropout,
                scale=scaling,
                enable_gqa=key.shape[1] != query.shape[1],
            )
        )

    for span in spans:
        trunk = slice(span.start, span.start + span.length)
        if span.length:  # a text of one token has no prompt
            attend_span(trunk, (trunk,))
        start = trunk.stop
        for size in span.branches:
            branch = slice(start, start + size)
            attend_span(branch, (trunk, branch))
            start += size
    return torch.cat(pieces, dim=2).transpose(1, 2), None


def register_attention() -> None:
    """Make `attend_to_packed_row` known to Transformers; a second call changes nothing."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend_to_packed_row)


def _build_mask(queries: int, keys: int, window: int | None, device: torch.device) -> Tensor | None:
    """Return bool[queries, keys]: query i sees key j when j ≤ i + keys − queries, within the window; None: causal."""
    narrow = window is not None and window < keys
    if queries == keys and not narrow:
        return None
    query_place = torch.arange(keys - queries, keys, device=device)[:, None]
    key_place = torch.arange(keys, device=device)[None, :]
    mask = key_place <= query_place
    return mask & (key_place > query_place - window) if narrow and window is not None else mask
