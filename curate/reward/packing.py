"""Prompts with all their responses as one row of tokens, without padding.

| layout          | a prompt's tokens | what a response sees | positions |
| ---             | ---               | ---                  | --- |
| `shared_prefix` | prompt, y1, …, yN | the prompt and itself | start again after the prompt for each response |
| `joint`         | prompt, y1, s, y2, s, …, yN | everything before it (s: the separator) | run on |
| `separate`      | prompt, y1, prompt, y2, … | the prompt and itself | start again for each response |

`shared_prefix` and `separate` are the same function of the weights, the first without repeating the prompt. `joint`
compares (You Only Judge Once, arXiv 2604.10966): it depends on the order of the responses, which is therefore shuffled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Tokens = Sequence[int]


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the row: causal tokens, then branches that see those and themselves but not each other.

    Attributes:
        start: Index of the first token.
        length: Number of causal tokens.
        branches: Number of tokens of each branch; branches follow immediately, one after the other.
    """

    start: int
    length: int
    branches: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        return self.start + self.length + sum(self.branches)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBatch:
    """One row of T tokens that holds R responses to B prompts.

    | field       | type        | meaning |
    | ---         | ---         | --- |
    | `tokens`    | int64[1, T] | token ids |
    | `positions` | int64[1, T] | positions that the model is told |
    | `spans`     | tuple       | which token sees which |
    | `last`      | int64[R]    | index of the last token of each response |
    | `prompt`    | int64[R]    | prompt of each response, in the caller's order |
    | `slot`      | int64[R]    | place of each response among those of its prompt, in the caller's order |
    | `widest`    | int         | most responses of a prompt |
    """

    tokens: Tensor
    positions: Tensor
    spans: tuple[Span, ...]
    last: Tensor
    prompt: Tensor
    slot: Tensor
    widest: int

    def scatter_scores(self, scores: Tensor, missing: float = float("-inf")) -> Tensor:
        """Return [B, N] of scores [R] (or [B, N, K] of [R, K]); `missing` where a prompt has fewer than N responses."""
        return _scatter_scores(scores, self.prompt, self.slot, self.widest, missing)

    def to(self, device: torch.device | str) -> PackedBatch:
        moved = (
            tensor.to(device) for tensor in (self.tokens, self.positions, self.last, self.prompt, self.slot)
        )
        tokens, positions, last, prompt, slot = moved
        return PackedBatch(
            tokens=tokens,
            positions=positions,
            spans=self.spans,
            last=last,
            prompt=prompt,
            slot=slot,
            widest=self.widest,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaddedBatch:
    """R rows, one per response, padded on the right: for models whose responses do not share a prompt.

    | field            | type        | meaning |
    | ---              | ---         | --- |
    | `tokens`, `mask` | int64[R, L] | token ids; 0 in the mask at padding |
    | `types`          | int64[R, L] | half of a text pair, where the model wants it |
    | `prompt`, `slot` | int64[R]    | as in `PackedBatch` |
    | `widest`         | int         | as in `PackedBatch` |
    | `images`         | dict        | further inputs of a vision-language model |
    """

    tokens: Tensor
    mask: Tensor
    types: Tensor | None
    prompt: Tensor
    slot: Tensor
    widest: int
    images: dict[str, Tensor] = field(default_factory=dict)

    def scatter_scores(self, scores: Tensor, missing: float = float("-inf")) -> Tensor:
        return _scatter_scores(scores, self.prompt, self.slot, self.widest, missing)

    def to(self, device: torch.device | str) -> PaddedBatch:
        types = None if self.types is None else self.types.to(device)
        moved = (tensor.to(device) for tensor in (self.tokens, self.mask, self.prompt, self.slot))
        tokens, mask, prompt, slot = moved
        images = {name: tensor.to(device) for name, tensor in self.images.items()}
        return PaddedBatch(
            tokens=tokens,
            mask=mask,
            types=types,
            prompt=prompt,
            slot=slot,
            widest=self.widest,
            images=images,
        )


def pad_rows(
    rows: Sequence[Sequence[Tokens]], types: Sequence[Sequence[Tokens]] | None, *, padding: int
) -> PaddedBatch:
    """Pad rows on the right.

    Args:
        rows: `rows[b][i]`: tokens of prompt b together with its response i.
        types: Half of a text pair of each token, likewise, or None.
        padding: Token to pad with.
    """
    flat = [tokens for answers in rows for tokens in answers]
    longest = max(map(len, flat))

    def make_block(sequences: Sequence[Tokens], fill: int) -> Tensor:
        return torch.tensor([[*tokens, *[fill] * (longest - len(tokens))] for tokens in sequences])

    return PaddedBatch(
        tokens=make_block(flat, padding),
        mask=make_block([[1] * len(tokens) for tokens in flat], 0),
        types=None if types is None else make_block([halves for answers in types for halves in answers], 0),
        prompt=torch.tensor([b for b, answers in enumerate(rows) for _ in answers]),
        slot=torch.tensor([slot for answers in rows for slot in range(len(answers))]),
        widest=max(map(len, rows)),
    )


def _scatter_scores(scores: Tensor, prompt: Tensor, slot: Tensor, widest: int, missing: float) -> Tensor:
    if scores.ndim not in (1, 2) or len(scores) != len(prompt) or 0 in scores.shape:
        raise ValueError(f"{tuple(scores.shape)} scores for {len(prompt)} responses")
    empty = scores.new_full((int(prompt.max()) + 1, widest, *scores.shape[1:]), missing)
    return empty.index_put((prompt, slot), scores)


def pack_shared_prefix(prompts: Sequence[Tokens], responses: Sequence[Sequence[Tokens]]) -> PackedBatch:
    """Pack each prompt once, then its responses side by side. Scores do not depend on the other responses."""
    row = _Row(responses)
    for prompt, answers in zip(prompts, responses, strict=True):
        row.begin_prompt(prompt)
        for slot, answer in enumerate(answers):
            row.add_branch(answer, slot)
        row.end_span()
    return row.build_batch()


def pack_separately(prompts: Sequence[Tokens], responses: Sequence[Sequence[Tokens]]) -> PackedBatch:
    """Pack each response behind a prompt of its own: the plain way, and the reference for `pack_shared_prefix`."""
    row = _Row(responses)
    for number, (prompt, answers) in enumerate(zip(prompts, responses, strict=True)):
        for slot, answer in enumerate(answers):
            row.begin_prompt(prompt, number)
            row.append_tokens(answer)
            row.mark_response(slot)
            row.end_span()
    return row.build_batch()


def pack_jointly(
    prompts: Sequence[Tokens],
    responses: Sequence[Sequence[Tokens]],
    separator: Tokens,
    *,
    generator: torch.Generator | None = None,
) -> PackedBatch:
    """Pack all responses of a prompt in one causal sequence.

    Args:
        prompts: Tokens of B prompts.
        responses: Tokens of the responses to each.
        separator: Tokens between two responses.
        generator: Shuffles the responses; without one they keep their order.
    """
    row = _Row(responses)
    for prompt, answers in zip(prompts, responses, strict=True):
        row.begin_prompt(prompt)
        order = (
            range(len(answers)) if generator is None else torch.randperm(len(answers), generator=generator)
        )
        for place, slot in enumerate(map(int, order)):
            if place:
                row.append_tokens(separator)
            row.append_tokens(answers[slot])
            row.mark_response(slot)
        row.end_span()
    return row.build_batch()


class _Row:
    """Builds a packed row, prompt by prompt."""

    def __init__(self, responses: Sequence[Sequence[Tokens]]) -> None:
        if not responses or not all(len(answers) for answers in responses):
            raise ValueError("every prompt needs a response")
        if not all(len(answer) for answers in responses for answer in answers):
            raise ValueError("a response needs a token: end it with the end-of-text token")
        self._widest = max(len(answers) for answers in responses)
        self._tokens: list[int] = []
        self._positions: list[int] = []
        self._spans: list[Span] = []
        self._marks: list[tuple[int, int, int]] = []  # last token, prompt, slot
        self._prompt = -1
        self._start = 0
        self._branches: list[int] = []

    def begin_prompt(self, prompt: Tokens, number: int | None = None) -> None:
        self._prompt = self._prompt + 1 if number is None else number
        self._start, self._branches = len(self._tokens), []
        self.append_tokens(prompt)

    def append_tokens(self, tokens: Tokens) -> None:
        position = len(self._tokens) - self._start
        self._tokens.extend(tokens)
        self._positions.extend(range(position, position + len(tokens)))

    def add_branch(self, tokens: Tokens, slot: int) -> None:
        position = len(self._tokens) - self._start - sum(self._branches)
        self._tokens.extend(tokens)
        self._positions.extend(range(position, position + len(tokens)))
        self._branches.append(len(tokens))
        self.mark_response(slot)

    def mark_response(self, slot: int) -> None:
        self._marks.append((len(self._tokens) - 1, self._prompt, slot))

    def end_span(self) -> None:
        length = len(self._tokens) - self._start - sum(self._branches)
        self._spans.append(Span(self._start, length, tuple(self._branches)))

    def build_batch(self) -> PackedBatch:
        last, prompt, slot = torch.tensor(self._marks).unbind(dim=1)
        return PackedBatch(
            tokens=torch.tensor(self._tokens)[None],
            positions=torch.tensor(self._positions)[None],
            spans=tuple(self._spans),
            last=last,
            prompt=prompt,
            slot=slot,
            widest=self._widest,
        )
