"""Text that matches a JSON schema: at each step only tokens are allowed that some valid document goes on with.

llguidance follows the grammar; this module connects it to generation in Transformers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import llguidance
import numpy as np
import torch
from llguidance.hf import from_tokenizer

# No blanks between the parts (the same in vLLM): weak models spend their tokens on them.
_LAYOUT: Any = {"whitespace_flexible": False}


@dataclass(slots=True)
class SchemaCompiler:
    """Compiles JSON schemas for one tokenizer.

    Args:
        tokenizer: A Transformers tokenizer.
        ends: Token ids that end an answer.
        size: Number of logits.
    """

    tokenizer: Any
    ends: list[int]
    size: int
    _compiled: dict[str, llguidance.LLMatcher] = field(init=False, default_factory=dict)
    _tokenizer: llguidance.LLTokenizer | None = field(init=False, default=None)

    def build_constraint(self, schema: str) -> Constraint:
        """Build the logits processor that keeps a batch to `schema` (JSON text).

        Raises:
            ValueError: The text is no JSON schema, or it is not supported.
        """
        if schema not in self._compiled:
            if self._tokenizer is None:  # takes a second for a large vocabulary
                self._tokenizer = from_tokenizer(self.tokenizer, eos_token=self.ends)
            grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, defaults=_LAYOUT)
            matcher = llguidance.LLMatcher(self._tokenizer, grammar, log_level=0)
            if matcher.is_error():
                raise ValueError(matcher.get_error().partition("\n")[0])
            self._compiled[schema] = matcher
        return Constraint(self._compiled[schema], self.size)


@dataclass(slots=True)
class Constraint:
    """A logits processor for one call of `generate`; rows that have ended may only end again."""

    start: llguidance.LLMatcher
    size: int
    _rows: list[llguidance.LLMatcher] = field(init=False, default_factory=list)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if not self._rows:
            self._rows = [self.start.deep_copy() for _ in range(len(input_ids))]
        else:
            for matcher, token in zip(self._rows, input_ids[:, -1].tolist(), strict=True):
                if not matcher.is_stopped():
                    matcher.consume_token(token)
        allowed = np.zeros((len(self._rows), self.size), np.bool_)
        for row, matcher in enumerate(self._rows):
            bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little")
            allowed[row, : len(bits)] = bits[: self.size]
        return scores.masked_fill(~torch.from_numpy(allowed).to(scores.device), -torch.inf)
