"""A vision-language model in this process that writes text: probabilities and text after chats with images.

Requests go through the model one by one, since each brings pictures of its own: what a server such as vLLM does in
batches takes longer here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from curate.data.media import images_of
from curate.engine.base import (
    Choice,
    Choose,
    Continuation,
    Failure,
    Generate,
    Generation,
    LogLikelihood,
)
from curate.engine.batching import Target
from curate.engine.local.causal import CausalModel
from curate.engine.local.vision import VisionTokens, move_inputs
from curate.records import Part

RequestT = TypeVar("RequestT", Choose, Continuation, Generate)
ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class VisionCausal(CausalModel):
    """A vision-language model; `tokens` are `VisionTokens`."""

    _shown: tuple[Part, ...] = field(init=False, default=())

    def choose(self, requests: Sequence[Choose]) -> list[Choice | Failure]:
        return self._ask_each(requests, lambda one: CausalModel.choose(self, one))

    def loglikelihood(self, requests: Sequence[Continuation]) -> list[LogLikelihood | Failure]:
        return self._ask_each(requests, lambda one: CausalModel.loglikelihood(self, one))

    def generate(self, requests: Sequence[Generate]) -> list[Generation | Failure]:
        return self._ask_each(requests, lambda one: CausalModel.generate(self, one))

    def _ask_each(
        self, requests: Sequence[RequestT], ask: Callable[[Sequence[RequestT]], list[ResultT]]
    ) -> list[ResultT]:
        results = []
        for request in requests:
            self._shown = images_of(request.messages)
            results += ask([request])
        return results

    def compute_log_probs(self, targets: Sequence[Target]) -> list[NDArray[np.float64]]:
        """Return for each target float64[tokens], after the images of the request that is being answered."""
        logits: dict[tuple[int, ...], torch.Tensor] = {}
        by_target = []
        for target in targets:
            read = target.input_tokens
            if read not in logits:
                logits[read] = self._compute_logits(read)
            length = len(target.continuation)
            chosen = (
                logits[read][-length:].log_softmax(-1).gather(1, torch.tensor(target.continuation)[:, None])
            )
            by_target.append(chosen[:, 0].numpy())
        return by_target

    def _compute_logits(self, ids: Sequence[int]) -> torch.Tensor:
        """Compute the logits after each token, float64[L, V], on the CPU."""
        tokens = torch.tensor([list(ids)])
        inputs = self._make_inputs(tokens) | {"attention_mask": torch.ones_like(tokens).to(self.model.device)}
        with torch.inference_mode():
            logits = self.model(input_ids=tokens.to(self.model.device), **inputs, use_cache=False).logits[0]
        return torch.as_tensor(logits).double().cpu()

    def _make_inputs(self, tokens: torch.Tensor) -> dict[str, Any]:
        if not self._shown:
            return {}
        assert isinstance(self.tokens, VisionTokens)
        return move_inputs(self.tokens.build_inputs(tokens, self._shown), self.model)
