"""Prompts with all their responses as one row of tokens, without padding and without repetition.

| layout          | sequences of a prompt | what a response sees |
| ---             | ---                   | --- |
| `shared_prefix` | prompt y1; prompt y2; … | the prompt and itself |
| `joint`         | prompt y1 s y2 s … yN   | everything before it (s: the separator) |
| `separate`      | as `shared_prefix`, each with a copy of the prompt | the prompt and itself |

The sequences of a row form a prefix tree (prefix_tree.py): whatever several of them begin with is computed once, the
prompt and more: the system prompt of several prompts, answers that begin alike, trajectories that branch.
`shared_prefix` and `separate` are the same function of the weights. `joint` compares (You Only Judge Once, arXiv
2604.10966): it depends on the order of the responses, which is therefore shuffled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from curate.reward.prefix_tree import PrefixTree, Segment, build_prefix_tree

Tokens = Sequence[int]


@dataclass(frozen=True, slots=True)
class MarkedSequence:
    """A sequence of tokens with the scores that are read in it.

    Attributes:
        tokens: The tokens. Equal numbers are shared, so an image's tokens are replaced by the number of the image.
        marks: (tokens up to the end of a response, its prompt, its slot) for each score.
        positions: int64[axes, tokens], positions of a model with several axes; None: 0, 1, 2, …
    """

    tokens: Tokens
    marks: tuple[tuple[int, int, int], ...]
    positions: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBatch:
    """One row of T tokens that holds R responses to B prompts.

    | field       | type        | meaning |
    | ---         | ---         | --- |
    | `tokens`    | int64[1, T] | token ids |
    | `positions` | int64[1, T] | positions that the model is told (int64[axes, 1, T] with several axes) |
    | `segments`  | tuple       | which token sees which |
    | `last`      | int64[R]    | index of the last token of each response |
    | `prompt`    | int64[R]    | prompt of each response, in the caller's order |
    | `slot`      | int64[R]    | place of each response among those of its prompt, in the caller's order |
    | `widest`    | int         | most responses of a prompt |
    | `images`    | dict        | further inputs of a vision-language model |
    """

    tokens: Tensor
    positions: Tensor
    segments: tuple[Segment, ...]
    last: Tensor
    prompt: Tensor
    slot: Tensor
    widest: int
    images: dict[str, Tensor] = field(default_factory=dict)

    def scatter_scores(self, scores: Tensor, missing: float = float("-inf")) -> Tensor:
        """Return [B, N] of scores [R] (or [B, N, K] of [R, K]); `missing` where a prompt has fewer than N responses."""
        return _scatter_scores(scores, self.prompt, self.slot, self.widest, missing)

    def to(self, device: torch.device | str) -> PackedBatch:
        return replace(
            self,
            tokens=self.tokens.to(device),
            positions=self.positions.to(device),
            last=self.last.to(device),
            prompt=self.prompt.to(device),
            slot=self.slot.to(device),
            images={name: tensor.to(device) for name, tensor in self.images.items()},
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
    """Pack each beginning once, then what follows it side by side. Scores do not depend on the other responses."""
    return pack_sequences(list(list_separate_sequences(prompts, responses)))


def pack_separately(prompts: Sequence[Tokens], responses: Sequence[Sequence[Tokens]]) -> PackedBatch:
    """Pack each response behind a prompt of its own: the plain way, and the reference for `pack_shared_prefix`."""
    return pack_sequences(list(list_separate_sequences(prompts, responses)), share=False)


def pack_jointly(
    prompts: Sequence[Tokens],
    responses: Sequence[Sequence[Tokens]],
    separator: Tokens,
    *,
    orders: Sequence[Sequence[Sequence[int]]] | None = None,
) -> PackedBatch:
    """Pack all responses of a prompt in one causal sequence, or in several that differ in their order.

    Args:
        prompts: Tokens of B prompts.
        responses: Tokens of the responses to each.
        separator: Tokens between two responses.
        orders: `orders[b]`: orders of the responses to prompt b, each with their numbers; default: as they come. Each
            order gives every response a score, so `last`, `prompt` and `slot` have R times as many entries.
    """
    _check_responses(responses)
    sequences = [
        join_responses(prompt, answers, separator, order, number)
        for number, (prompt, answers) in enumerate(zip(prompts, responses, strict=True))
        for order in (orders[number] if orders else [range(len(answers))])
    ]
    return pack_sequences(sequences)


def list_separate_sequences(
    prompts: Sequence[Tokens], responses: Sequence[Sequence[Tokens]]
) -> Iterator[MarkedSequence]:
    """Yield each prompt with each of its responses."""
    _check_responses(responses)
    for number, (prompt, answers) in enumerate(zip(prompts, responses, strict=True)):
        for slot, answer in enumerate(answers):
            yield MarkedSequence((*prompt, *answer), ((len(prompt) + len(answer), number, slot),))


def join_responses(
    prompt: Tokens, answers: Sequence[Tokens], separator: Tokens, order: Sequence[int], number: int
) -> MarkedSequence:
    """Join a prompt and its responses, with a separator between two of them.

    Args:
        prompt: Tokens of the prompt.
        answers: Tokens of its responses.
        separator: Tokens between two responses.
        order: Numbers of the responses in the order of the sequence.
        number: Number of the prompt in the row.
    """
    tokens = list(prompt)
    marks: list[tuple[int, int, int]] = []
    for slot in order:
        tokens += [*(separator if marks else ()), *answers[slot]]
        marks.append((len(tokens), number, slot))
    return MarkedSequence(tokens, tuple(marks))


def pack_sequences(sequences: Sequence[MarkedSequence], *, share: bool = True) -> PackedBatch:
    """Pack sequences as one tree; `share` False: each of them alone, beside the others."""
    tree = build_prefix_tree([sequence.tokens for sequence in sequences], share=share)
    marks = [
        (tree.find_node(number, end - 1), prompt, slot)
        for number, sequence in enumerate(sequences)
        for end, prompt, slot in sequence.marks
    ]
    last, prompt, slot = torch.tensor(marks).unbind(dim=1)
    return PackedBatch(
        tokens=torch.tensor(tree.tokens)[None],
        positions=_build_positions(tree, sequences),
        segments=tree.segments,
        last=last,
        prompt=prompt,
        slot=slot,
        widest=int(slot.max()) + 1,
    )


def _build_positions(tree: PrefixTree, sequences: Sequence[MarkedSequence]) -> Tensor:
    """Return the positions of a row's tokens: how many stand before each, or what its sequences say of it."""
    if not sequences or sequences[0].positions is None:
        return torch.cat([torch.arange(s.depth, s.depth + s.length) for s in tree.segments])[None]
    positions = torch.empty((len(sequences[0].positions), 1, len(tree)), dtype=torch.int64)
    for ranges, sequence in zip(tree.sequences, sequences, strict=True):
        assert sequence.positions is not None  # those of one model all have them
        depth = 0
        for start, end in ranges:
            positions[:, 0, start:end] = sequence.positions[:, depth : depth + end - start]
            depth += end - start
    return positions


def _check_responses(responses: Sequence[Sequence[Tokens]]) -> None:
    if not responses or not all(len(answers) for answers in responses):
        raise ValueError("every prompt needs a response")
    if not all(len(answer) for answers in responses for answer in answers):
        raise ValueError("a response needs a token: end it with the end-of-text token")
