"""Speed of a training: tokens per second, and model FLOPS utilisation (MFU)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from torch import nn

_SIZE, _REPEATS, _SECONDS = {"cpu": 512, "cuda": 4096}, 8, 0.2


def count_flops_per_token(model: nn.Module) -> float:
    """Count floating-point operations per token of a forward and backward pass.

    Each weight costs 2 in the forward pass, 2 for the gradient of its input and, if it is trained, 2 for its own
    gradient (Kaplan et al. 2020, arXiv 2001.08361). Not counted: attention's own products, embeddings (they are looked
    up, not multiplied) and recomputed activations.
    """
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    weights = [weight for weight in model.parameters() if weight.ndim >= 2 and id(weight) not in embeddings]
    return sum((6.0 if weight.requires_grad else 4.0) * weight.numel() for weight in weights)


def measure_attainable_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Measure the floating-point operations per second that a square matrix product reaches on a device.

    It estimates the peak in the same way on any machine. The fastest of several products counts: on a machine that
    others use too, most of them are interrupted.
    """
    size = _SIZE.get(device.type, 2048)
    one = torch.ones(size, size, device=device, dtype=dtype)
    best, start, repeats = float("inf"), time.perf_counter(), 0
    while repeats < _REPEATS or time.perf_counter() - start < _SECONDS:
        repeats += 1
        _synchronize(device)
        started = time.perf_counter()
        one @ one
        _synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2.0 * size**3 / best


@dataclass(slots=True)
class ThroughputMeter:
    """Tokens per second and utilisation (MFU) since this process started to train."""

    flops_per_token: float
    attainable: float
    tokens: int = 0
    _started: float = field(default_factory=time.perf_counter)

    def add_tokens(self, tokens: int) -> dict[str, float]:
        """Count tokens that were trained on, and return the mean speed so far."""
        self.tokens += tokens
        rate = self.tokens / max(time.perf_counter() - self._started, 1e-9)
        return {
            "tokens_per_second": round(rate, 1),
            "mfu": round(rate * self.flops_per_token / self.attainable, 4),
        }


def _synchronize(device: torch.device) -> None:
    """Wait until the device has computed all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
