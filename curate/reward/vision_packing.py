"""Prompts with images as packed rows: an image that several responses see is computed once.

The tokens of all images are alike, so in the tree each stands under the number of its image: two sequences share an
image only where it is the same one. Positions are those that the model gives to each sequence alone (with multimodal
rope an image's tokens have a height and a width, and the text goes on behind them).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any, Protocol

import torch
from torch import Tensor

from curate.engine.local.vision import VisionTokens
from curate.records import Part
from curate.reward.packing import MarkedSequence, PackedBatch, Tokens, join_responses, pack_sequences
from curate.reward.tokens import Ids


class ImageGroup(Protocol):
    """A prompt with its responses, each a row that begins with the `n_prompt` tokens of the prompt."""

    @property
    def responses(self) -> tuple[Ids, ...]: ...
    @property
    def images(self) -> tuple[tuple[Part, ...], ...]: ...
    @property
    def n_prompt(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Picture:
    """An image of a row: the number of its places among the tokens, and the model's inputs for it."""

    places: int
    inputs: dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class VisionPacker:
    """Packs prompts with images for one model.

    Args:
        tokens: Makes tokens and pixels of its images.
        backbone: The model, which knows the positions of its images' tokens.
    """

    tokens: VisionTokens
    backbone: Any

    def pack(
        self,
        groups: Sequence[ImageGroup],
        *,
        separator: Tokens | None = None,
        orders: Sequence[Sequence[Sequence[int]]] = (),
    ) -> PackedBatch:
        """Pack prompts with their responses.

        Args:
            groups: The prompts.
            separator: Tokens between the responses of a joint sequence; None where responses stand alone.
            orders: `orders[b]`: orders of the responses of prompt b, with a separator.
        """
        numbers: dict[Part, int] = {}
        pictures: list[_Picture] = []
        sequences: list[MarkedSequence] = []
        for number, group in enumerate(groups):
            for part in itertools.chain.from_iterable(group.images):
                if part not in numbers:
                    numbers[part] = len(pictures)
                    ids, inputs = self.tokens.read_image(part)
                    pictures.append(_Picture(ids.count(self.tokens.image_token), inputs))
            rows = [
                self._number_images(ids, [numbers[part] for part in images], pictures)
                for ids, images in zip(group.responses, group.images or repeat(()), strict=False)
            ]
            if separator is None:
                sequences += [
                    MarkedSequence(row, ((len(row), number, slot),)) for slot, row in enumerate(rows)
                ]
                continue
            prompt, answers = rows[0][: group.n_prompt], [row[group.n_prompt :] for row in rows]
            sequences += [
                join_responses(prompt, answers, separator, order, number) for order in orders[number]
            ]
        batch = pack_sequences(
            [
                replace(sequence, positions=self._compute_positions(sequence.tokens, pictures))
                for sequence in sequences
            ]
        )
        row_ids, shown = self._show_images(batch.tokens[0].tolist(), pictures)
        tokens = torch.tensor(row_ids)[None]
        images = self.tokens.join_inputs(tokens, [picture.inputs for picture in shown])
        return replace(batch, tokens=tokens, images=images)

    def _number_images(self, ids: Ids, images: Sequence[int], pictures: Sequence[_Picture]) -> list[int]:
        """Return the tokens with −1 − n in place of each token of image number n."""
        row = list(ids)
        places = iter([place for place, token in enumerate(ids) if token == self.tokens.image_token])
        for number in images:
            for _ in range(pictures[number].places):
                row[next(places)] = -1 - number
        return row

    def _show_images(
        self, row: Sequence[int], pictures: Sequence[_Picture]
    ) -> tuple[list[int], list[_Picture]]:
        """Return the tokens of a row, and its images in the order in which they stand there."""
        shown: list[_Picture] = []
        remaining = [0] * len(pictures)
        for token in row:
            if token >= 0:
                continue
            number = -1 - token
            if not remaining[number]:
                shown.append(pictures[number])
                remaining[number] = pictures[number].places
            remaining[number] -= 1
        return [self.tokens.image_token if token < 0 else token for token in row], shown

    def _compute_positions(self, row: Tokens, pictures: Sequence[_Picture]) -> Tensor | None:
        """Return the positions int64[axes, L] of a sequence by the model's own rule; None: it counts the tokens."""
        if not hasattr(self.backbone, "get_rope_index"):
            return None
        ids, shown = self._show_images(row, pictures)
        if not shown:
            return torch.arange(len(ids)).expand(3, -1)
        tokens = torch.tensor(ids)[None]
        positions, _ = self.backbone.get_rope_index(
            tokens,
            mm_token_type_ids=self.tokens.mark_image_tokens(tokens).int(),
            image_grid_thw=torch.cat([picture.inputs["image_grid_thw"] for picture in shown]),
            attention_mask=torch.ones_like(tokens),
        )
        of_sequence: Tensor = positions[:, 0]
        return of_sequence
