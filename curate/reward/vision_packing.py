"""Prompts with images as packed rows: an image that several responses see is computed once.

The tokens of all images are alike, so in the tree each stands under the number of its image: two sequences share an
image only where it is the same one. Positions are those that the model gives to each sequence alone (with multimodal
rope an image's tokens have a height and a width, and the text goes on behind them).
"""

from __future__ import annotations

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
        sequences: list[MarkedSequence] = []
        for number, group in enumerate(groups):
            rows = [
                self._number_images(ids, images, numbers)
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
        parts = list(numbers)
        batch = pack_sequences(
            [
                replace(sequence, positions=self._compute_positions(sequence.tokens, parts))
                for sequence in sequences
            ]
        )
        ids, shown = self._show_images(batch.tokens[0].tolist(), parts)
        tokens = torch.tensor(ids)[None]
        return replace(batch, tokens=tokens, images=self.tokens.build_inputs(tokens, shown))

    def _number_images(self, ids: Ids, images: Sequence[Part], numbers: dict[Part, int]) -> list[int]:
        """Return the tokens with −1 − n in place of each token of image number n."""
        row = list(ids)
        places = iter([place for place, token in enumerate(ids) if token == self.tokens.image_token])
        for part in images:
            number = numbers.setdefault(part, len(numbers))
            for _ in range(self.tokens.count_image_tokens(part)):
                row[next(places)] = -1 - number
        return row

    def _show_images(self, row: Sequence[int], parts: Sequence[Part]) -> tuple[list[int], list[Part]]:
        """Return the tokens of a row, and its images in the order in which they stand there."""
        shown: list[Part] = []
        remaining = [0] * len(parts)
        for token in row:
            if token >= 0:
                continue
            number = -1 - token
            if not remaining[number]:
                shown.append(parts[number])
                remaining[number] = self.tokens.count_image_tokens(parts[number])
            remaining[number] -= 1
        return [self.tokens.image_token if token < 0 else token for token in row], shown

    def _compute_positions(self, row: Tokens, parts: Sequence[Part]) -> Tensor | None:
        """Return the positions int64[axes, L] of a sequence by the model's own rule; None: it counts the tokens."""
        if not hasattr(self.backbone, "get_rope_index"):
            return None
        ids, shown = self._show_images(row, parts)
        if not shown:
            return torch.arange(len(ids)).expand(3, -1)
        tokens = torch.tensor(ids)[None]
        grids = torch.cat([self.tokens.get_image_inputs(part)["image_grid_thw"] for part in shown])
        positions, _ = self.backbone.get_rope_index(
            tokens,
            mm_token_type_ids=self.tokens.mark_image_tokens(tokens).int(),
            image_grid_thw=grids,
            attention_mask=torch.ones_like(tokens),
        )
        of_sequence: Tensor = positions[:, 0]
        return of_sequence
