"""Batches for a language model: groups of responses packed into rows (forward passes), rows into optimizer steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from curate.reward.packing import PackedBatch, PaddedBatch, pack_jointly, pack_shared_prefix, pad_rows
from curate.reward.prefix_tree import count_tree_tokens
from curate.reward.response_order import OrderProtocol
from curate.reward.tokens import Ids, Images, list_contents
from curate.reward.vision_packing import VisionPacker
from curate.train.examples import PromptGroup

_WINDOW = 16  # rows in which groups are sorted by length: little padding, and still a random order


def count_group_tokens(groups: Sequence[PromptGroup], *, separator: Ids | None = None) -> list[int]:
    """Return the tokens that each group takes in a row of its own; for encoders with the padding inside the group.

    `separator`: tokens between the responses of a joint sequence; None where responses stand alone.
    """
    sizes = []
    for group in groups:
        n_prompt = len(group.tokens) + group.n_prompt
        if not n_prompt:
            sizes.append(len(group) * max(map(len, group.responses)))
        elif separator is None:
            sizes.append(len(group.tokens) + count_tree_tokens(group.responses))
        else:
            gaps = (len(group) - 1) * len(separator)
            answers = sum(len(response) - group.n_prompt for response in group.responses)
            sizes.append(n_prompt + answers + gaps)
    return sizes


def pack_rows(
    sizes: Sequence[int], *, most: int, generator: np.random.Generator | None = None
) -> list[list[int]]:
    """Pack groups into rows.

    Args:
        sizes: Tokens of each group.
        most: Tokens of a row at most; a larger group is a row of its own.
        generator: Shuffles the groups; those of like length then share a row within a window of some rows, because an
            encoder pads to the longest one. None: groups stay in the order given.

    Returns:
        Numbers of the groups in each row.
    """
    order = np.arange(len(sizes)) if generator is None else generator.permutation(len(sizes))
    rows = list(
        _fill_rows(_sort_in_windows(order, sizes, most) if generator is not None else order, sizes, most)
    )
    if generator is not None:
        rows = [rows[number] for number in generator.permutation(len(rows))]
    return rows


def group_into_steps(rows: Sequence[list[int]], sizes: Sequence[int], *, least: int) -> list[list[list[int]]]:
    """Group rows into optimizer steps of at least `least` tokens; the remaining rows are a last, smaller step."""
    steps: list[list[list[int]]] = []
    step: list[list[int]] = []
    tokens = 0
    for row in rows:
        step.append(row)
        tokens += sum(sizes[number] for number in row)
        if tokens >= least:
            steps.append(step)
            step, tokens = [], 0
    return [*steps, step] if step else steps


def build_batch(
    groups: Sequence[PromptGroup],
    *,
    separator: Ids | None = None,
    seed: int | None = None,
    padding: int = 0,
    images: Images | None = None,
    packer: VisionPacker | None = None,
) -> PackedBatch | PaddedBatch:
    """Build the model's input for the groups of a row.

    Args:
        groups: All encoded for the same kind of model.
        separator: Tokens between the responses of a joint sequence; None where responses stand alone.
        seed: Shuffles the responses of a joint sequence; None: the order in which a saved model reads them.
        padding: Token id that fills the rows of an encoder or a vision-language model.
        images: Encodes the images that the tokens hold; None for a model that reads text.
        packer: Packs the rows of a vision-language model; None where it reads them one by one.
    """
    responses = [group.responses for group in groups]
    if packer is not None:
        orders = [[order] for order in _order_groups(groups, seed)] if separator is not None else []
        return packer.pack(groups, separator=separator, orders=orders)
    if not groups[0].tokens:
        types = [group.types for group in groups]
        batch = pad_rows(responses, None if types[0] is None else types, padding=padding)  # type: ignore[arg-type]
        if images is None:
            return batch
        parts = [part for group in groups for response_images in group.images for part in response_images]
        return replace(batch, images=images(batch.tokens, parts))
    prompts = [group.tokens for group in groups]
    if separator is None:
        return pack_shared_prefix(prompts, responses)
    return pack_jointly(
        prompts, responses, separator, orders=[[order] for order in _order_groups(groups, seed)]
    )


def _order_groups(groups: Sequence[PromptGroup], seed: int | None) -> list[Sequence[int]]:
    """Return an order of the responses of each group."""
    if seed is None:
        protocol = OrderProtocol()
        return [
            protocol.list_orders(*list_contents(group.tokens, group.responses, group.images, group.n_prompt))[
                0
            ]
            for group in groups
        ]
    generator = torch.Generator().manual_seed(seed)
    return [torch.randperm(len(group), generator=generator).tolist() for group in groups]


def _sort_in_windows(order: NDArray[np.int64], sizes: Sequence[int], most: int) -> list[int]:
    """Sort groups by length within windows of `_WINDOW` rows."""
    window: list[int] = []
    ordered: list[int] = []
    tokens = 0
    for number in map(int, order):
        window.append(number)
        tokens += sizes[number]
        if tokens >= _WINDOW * most:
            ordered += sorted(window, key=lambda group: sizes[group])
            window, tokens = [], 0
    return ordered + sorted(window, key=lambda group: sizes[group])


def _fill_rows(
    order: Sequence[int] | NDArray[np.int64], sizes: Sequence[int], most: int
) -> Iterator[list[int]]:
    """Yield rows of at most `most` tokens, filled in order."""
    row: list[int] = []
    tokens = 0
    for number in map(int, order):
        if row and tokens + sizes[number] > most:
            yield row
            row, tokens = [], 0
        row.append(number)
        tokens += sizes[number]
    if row:
        yield row
