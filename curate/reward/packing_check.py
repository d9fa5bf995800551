"""A trial of a backbone: does it compute packed rows exactly?

Some layers look beyond what attention lets them see (state-space and convolution layers, linear attention), and some
models take no positions or give image tokens a view of each other. Packed, such a model would give wrong scores without
a word. So each model is asked once about a small row before it is trusted with one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from curate.core.errors import CurateError
from curate.reward.packing import PackedBatch, pack_separately, pack_shared_prefix

_TOLERANCES = {torch.float32: (1e-4, 1e-3)}
"""Of the largest hidden value: how far it may move by another branch, and by packing, whose sums have another order."""
_HALF_TOLERANCES = (1e-2, 0.1)  # experts of a mixture get other batches, and sums are rounded to 1/256
_KNOWN_LAYERS = {"full_attention", "sliding_attention", "attention"}


def check_packing(model: Any, *, name: str) -> None:
    """Compare a packed row with the same sequences one by one.

    Args:
        model: A `RewardModel`.
        name: What the model is called in the message.

    Raises:
        CurateError: The scores differ, or the model has layers of a kind that is not known to be exact.
    """
    config = model.backbone.config.get_text_config()
    if problem := find_unknown_layers(model.backbone, config):
        raise _refuse(name, problem)
    ids = [number % (config.vocab_size - 1) + 1 for number in range(44)]
    prompt, answers = ids[:12], [ids[12:20], ids[20:31], [*ids[12:16], *ids[31:40]]]
    other = [
        [*ids[12:16], *ids[40:44]],
        *answers[1:],
    ]  # the same tree with other tokens in one of its branches
    packed, moved = (pack_shared_prefix([prompt], [branches]) for branches in (answers, other))
    alone = pack_separately([prompt], [answers])
    compare_hidden_states(
        model,
        packed=lambda: model.hide(packed)[1:],
        moved=lambda: model.hide(moved)[1:],
        alone=lambda: _hide_one_by_one(model, alone)[1:],
        name=name,
    )


def compare_hidden_states(
    model: Any,
    *,
    packed: Callable[[], Tensor],
    moved: Callable[[], Tensor],
    alone: Callable[[], Tensor],
    name: str,
) -> None:
    """Compare the last hidden states float[R, d] of a packed row with those of separate sequences.

    Args:
        model: The model that is asked.
        packed: Computes those of the row.
        moved: Computes those of the row with other tokens in another branch.
        alone: Computes those of the sequences one by one.
        name: What the model is called in the message.

    Raises:
        CurateError: They differ, or one cannot be computed.
    """
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            in_row, other, expected = (compute().float() for compute in (packed, moved, alone))
    except (NotImplementedError, TypeError, ValueError, RuntimeError) as error:
        raise _refuse(name, " ".join(str(error).split())[:200]) from error
    finally:
        model.train(training)
    largest = expected.abs().max().clamp(min=1e-12)
    for values, tolerance in zip(
        (other, expected), _TOLERANCES.get(model.backbone.dtype, _HALF_TOLERANCES), strict=True
    ):
        apart = float((in_row - values).abs().max() / largest)
        if not apart <= tolerance:
            raise _refuse(name, f"its hidden states are off by {apart:.1e} there")


def find_unknown_layers(backbone: Any, config: Any) -> str | None:
    """Return what is known to go wrong beyond the length of the trial row; None: nothing."""
    kinds = set(getattr(config, "layer_types", None) or ())
    if strange := sorted(kinds - _KNOWN_LAYERS):
        return f"it has layers of the kind {', '.join(strange)}"
    narrow = "sliding_attention" in kinds
    if narrow and not any(getattr(module, "sliding_window", None) for module in backbone.modules()):
        return "its layers do not say how wide their attention windows are"
    return None


def _hide_one_by_one(model: Any, batch: PackedBatch) -> Tensor:
    """Compute each sequence of a row in a pass of its own."""
    rows = [batch.tokens[0, segment.start : segment.end].tolist() for segment in batch.segments]
    return torch.cat([model.hide(pack_separately([row[:-1]], [[row[-1:]]])) for row in rows])


def _refuse(name: str, reason: str) -> CurateError:
    return CurateError(
        f"{name} cannot read several responses in one row of tokens: {reason}. Take a backbone whose layers all attend "
        "by Transformers' attention interface (Llama, Qwen, Mistral, Gemma 3 …)."
    )
