"""How fast training is, and how much of the machine it uses."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from torch import nn

_SIZE, _REPEATS, _SECONDS = {"cpu": 512, "cuda": 4096}, 8, 0.2


def count_flops_per_token(model: nn.Module) -> float:
    """Of forward and backward, without attention's own products: 2 per weight and token forward, 2 for the gradient
    of the input, 2 for that of a weight which is trained (Kaplan et al. 2020, arXiv 2001.08361). Vectors of tokens are
    looked up, not multiplied. Recomputed activations are not counted: this is model FLOPS utilisation.
    """
    looked_up = {id(each.weight) for each in model.modules() if isinstance(each, nn.Embedding)}
    weights = [each for each in model.parameters() if each.ndim >= 2 and id(each) not in looked_up]
    return sum((6.0 if each.requires_grad else 4.0) * each.numel() for each in weights)


def measure_attainable_flops(device: torch.device, dtype: torch.dtype) -> float:
    """What a square matrix product reaches here, per second: an estimate of the peak, the same way on any machine.

    The best of some time's products: on a machine that others use too, most of them are interrupted.
    """
    size = _SIZE.get(device.type, 2048)
    one = torch.ones(size, size, device=device, dtype=dtype)
    best, began, done = float("inf"), time.perf_counter(), 0
    while done < _REPEATS or time.perf_counter() - began < _SECONDS:
        done += 1
        _synchronize(device)
        started = time.perf_counter()
        one @ one
        _synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2.0 * size**3 / best


@dataclass(slots=True)
class ThroughputMeter:
    """Tokens per second and utilisation (MFU) since the start of this process's training."""

    flops_per_token: float
    attainable: float
    tokens: int = 0
    _started: float = field(default_factory=time.perf_counter)

    def add(self, tokens: int) -> dict[str, float]:
        self.tokens += tokens
        rate = self.tokens / max(time.perf_counter() - self._started, 1e-9)
        return {
            "tokens_per_second": round(rate, 1),
            "mfu": round(rate * self.flops_per_token / self.attainable, 4),
        }


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
