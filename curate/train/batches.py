"""Which prompts go through the model together: rows of a forward pass, and steps of the optimizer made of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from curate.reward.packing import PackedBatch, PaddedBatch, pack_jointly, pack_shared_prefix, pad_rows
from curate.reward.tokens import Ids, Images
from curate.train.examples import PromptGroup

_WINDOW = 16  # rows among which groups are sorted by length: little padding, and still a random order


def count_tokens(groups: Sequence[PromptGroup], *, separator: Ids | None = None) -> list[int]:
    """Tokens of each group in a row; for encoders with their padding within the group."""
    found = []
    for group in groups:
        if not group.tokens:
            found.append(len(group) * max(map(len, group.responses)))
        else:
            gaps = 0 if separator is None else (len(group) - 1) * len(separator)
            found.append(len(group.tokens) + sum(map(len, group.responses)) + gaps)
    return found


def pack_rows(
    tokens: Sequence[int], *, most: int, generator: np.random.Generator | None = None
) -> list[list[int]]:
    """Groups (by number) in rows of at most `most` tokens; one that has more is a row of its own.

    With a `generator`, in random order: those of like length share a row (an encoder pads to the longest one), within
    a window of some rows. Without, in the order given.
    """
    order = np.arange(len(tokens)) if generator is None else generator.permutation(len(tokens))
    made = list(
        _fill_rows(_sort_in_windows(order, tokens, most) if generator is not None else order, tokens, most)
    )
    if generator is not None:
        made = [made[at] for at in generator.permutation(len(made))]
    return made


def group_into_steps(
    row_list: Sequence[list[int]], tokens: Sequence[int], *, least: int
) -> list[list[list[int]]]:
    """Rows in steps of at least `least` tokens; what is left over at the end is a step as well."""
    made: list[list[list[int]]] = []
    step: list[list[int]] = []
    filled = 0
    for row in row_list:
        step.append(row)
        filled += sum(tokens[number] for number in row)
        if filled >= least:
            made.append(step)
            step, filled = [], 0
    return [*made, step] if step else made


def build_batch(
    groups: Sequence[PromptGroup],
    *,
    separator: Ids | None = None,
    seed: int | None = None,
    padding: int = 0,
    images: Images | None = None,
) -> PackedBatch | PaddedBatch:
    """The row of some groups. With a `separator` jointly, the responses shuffled by `seed` (in order without)."""
    responses = [group.responses for group in groups]
    if not groups[0].tokens:
        types = [group.types for group in groups]
        batch = pad_rows(responses, None if types[0] is None else types, padding=padding)  # type: ignore[arg-type]
        if images is None:
            return batch
        shown = [part for group in groups for each in group.images for part in each]
        return replace(batch, images=images(batch.tokens, shown))
    prompts = [group.tokens for group in groups]
    if separator is None:
        return pack_shared_prefix(prompts, responses)
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return pack_jointly(prompts, responses, separator, generator=generator)


def _sort_in_windows(order: NDArray[np.int64], tokens: Sequence[int], most: int) -> list[int]:
    window: list[int] = []
    done: list[int] = []
    filled = 0
    for number in map(int, order):
        window.append(number)
        filled += tokens[number]
        if filled >= _WINDOW * most:
            done += sorted(window, key=lambda each: tokens[each])
            window, filled = [], 0
    return done + sorted(window, key=lambda each: tokens[each])


def _fill_rows(
    order: Sequence[int] | NDArray[np.int64], tokens: Sequence[int], most: int
) -> Iterator[list[int]]:
    row: list[int] = []
    filled = 0
    for number in map(int, order):
        if row and filled + tokens[number] > most:
            yield row
            row, filled = [], 0
        row.append(number)
        filled += tokens[number]
    if row:
        yield row
