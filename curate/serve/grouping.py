"""Rows of a request that have one prompt, for a model that compares responses: they are scored together."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan

from curate.engine.base import Failure
from curate.reward.scorer import ComparingScorer, PromptResponses


@dataclass(frozen=True, slots=True)
class GroupedPrompts:
    """Prompts in the order in which they are scored, and the place in the request of each of their responses."""

    prompts: list[PromptResponses]
    places: list[int]

    def restore_order(
        self, scores: Sequence[float], errors: Mapping[int, str]
    ) -> tuple[list[float], dict[int, str]]:
        """Return scores, and errors by place, in the order of the request."""
        ordered = [nan] * len(scores)
        for place, score in zip(self.places, scores, strict=True):
            ordered[place] = score
        return ordered, {self.places[number]: reason for number, reason in errors.items()}


def keep_order(prompts: list[PromptResponses]) -> GroupedPrompts:
    """Return prompts that are scored as they come."""
    return GroupedPrompts(prompts, list(range(sum(len(prompt.responses) for prompt in prompts))))


def group_by_prompt(prompts: Sequence[PromptResponses], encoder: ComparingScorer) -> GroupedPrompts:
    """Merge the rows that have one prompt; a row that cannot be read takes no other one with it.

    Args:
        prompts: Rows of one request.
        encoder: The model.
    """
    groups: dict[Hashable, list[int]] = {}
    starts: list[int] = []
    count = 0
    for row, prompt in enumerate(prompts):
        starts.append(count)
        count += len(prompt.responses)
        unread = isinstance(prompt.encoded, Failure)
        groups.setdefault(row if unread else identify_prompt(prompt), []).append(row)
    merged: list[PromptResponses] = []
    places: list[int] = []
    for rows in groups.values():
        for prompt, members in _merge_readable(rows, prompts, encoder):
            merged.append(prompt)
            places += [starts[row] + slot for row in members for slot in range(len(prompts[row].responses))]
    return GroupedPrompts(merged, places)


def identify_prompt(prompt: PromptResponses) -> Hashable:
    """Return what responses to one prompt have in common: messages and tools, or the prompt's tokens."""
    if prompt.context or prompt.encoded is None or isinstance(prompt.encoded, Failure):
        return prompt.context, prompt.tools
    return prompt.encoded.prompt


def _merge_readable(
    rows: Sequence[int], prompts: Sequence[PromptResponses], encoder: ComparingScorer
) -> Iterator[tuple[PromptResponses, list[int]]]:
    """Yield the rows as one request; where that cannot be read, the unreadable ones apart from the others."""
    same = [prompts[row] for row in rows]
    merged = same[0] if isinstance(same[0].encoded, Failure) else encoder.merge_requests(same)
    if len(rows) == 1 or not isinstance(merged.encoded, Failure):
        yield merged, list(rows)
        return
    alone = {row: encoder.encode_request(prompts[row]) for row in rows}
    unread = [row for row in rows if isinstance(alone[row].encoded, Failure)]
    for row in unread:
        yield alone[row], [row]
    if readable := [row for row in rows if row not in unread]:
        yield encoder.merge_requests([prompts[row] for row in readable]), readable
