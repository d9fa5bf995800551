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
    """A stretch of the row: causal tokens, then branches that see those and themselves but not each other.

    `length` tokens from `start`; branches follow immediately, one after the other.
    """

    start: int
    length: int
    branches: tuple[int, ...] = ()

    @property
    def stop(self) -> int:
        return self.start + self.length + sum(self.branches)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBatch:
    """One row of T tokens holding R responses to B prompts.

    `tokens`, `positions` int64[1, T]; `last` int64[R]: where each response ends; `prompt`, `slot` int64[R]: which
    response of which prompt it is, in the caller's order whatever the layout's; `widest`: most responses of a prompt.
    """

    tokens: Tensor
    positions: Tensor
    spans: tuple[Span, ...]
    last: Tensor
    prompt: Tensor
    slot: Tensor
    widest: int

    def scatter_scores(self, scores: Tensor, missing: float = float("-inf")) -> Tensor:
        """[B, N] of [R] (or [B, N, K] of [R, K]): `missing` where a prompt has fewer responses than others."""
        return _scatter_scores(scores, self.prompt, self.slot, self.widest, missing)

    def to(self, device: torch.device | str) -> PackedBatch:
        moved = (each.to(device) for each in (self.tokens, self.positions, self.last, self.prompt, self.slot))
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
    """R rows, one per response, padded on the right: for models whose prompt is not shared.

    `tokens`, `mask`, `types` (which half of a text pair, where the model wants it) int64[R, L]; `prompt`, `slot`
    int64[R] and `widest` as in `Packed`; `images`: what a vision-language model is given besides.
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
        moved = (each.to(device) for each in (self.tokens, self.mask, self.prompt, self.slot))
        tokens, mask, prompt, slot = moved
        images = {name: each.to(device) for name, each in self.images.items()}
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
    """`rows[b][i]`: tokens of prompt b together with its response i; `types` likewise, or none."""
    flat = [tokens for answers in rows for tokens in answers]
    longest = max(map(len, flat))

    def block(each: Sequence[Tokens], fill: int) -> Tensor:
        return torch.tensor([[*tokens, *[fill] * (longest - len(tokens))] for tokens in each])

    return PaddedBatch(
        tokens=block(flat, padding),
        mask=block([[1] * len(tokens) for tokens in flat], 0),
        types=None if types is None else block([each for answers in types for each in answers], 0),
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
    """Each prompt once, then its responses side by side. Scores do not depend on order or company."""
    row = _Row(responses)
    for prompt, answers in zip(prompts, responses, strict=True):
        row.begin_prompt(prompt)
        for slot, answer in enumerate(answers):
            row.add_branch(answer, slot)
        row.end_span()
    return row.build_batch()


def pack_separately(prompts: Sequence[Tokens], responses: Sequence[Sequence[Tokens]]) -> PackedBatch:
    """Each response behind a prompt of its own: the plain way, and the reference for `shared_prefix`."""
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
    """All responses of a prompt in one causal sequence, shuffled by `generator` (given order without one)."""
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
        if not len(prompt):
            raise ValueError("a prompt needs a token")
        self._prompt = self._prompt + 1 if number is None else number
        self._start, self._branches = len(self._tokens), []
        self.append_tokens(prompt)

    def append_tokens(self, tokens: Tokens) -> None:
        at = len(self._tokens) - self._start
        self._tokens.extend(tokens)
        self._positions.extend(range(at, at + len(tokens)))

    def add_branch(self, tokens: Tokens, slot: int) -> None:
        at = len(self._tokens) - self._start - sum(self._branches)
        self._tokens.extend(tokens)
        self._positions.extend(range(at, at + len(tokens)))
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
