"""Training examples of a language model: a prompt with all its responses, as tokens, and the labels of their pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from curate.data.conversation import Conversation
from curate.data.preference_pairs import PreferencePairs
from curate.engine.base import Failure
from curate.records import Part, plain_text
from curate.reward.embedding_reward import hash_prompt_id
from curate.reward.tokens import EncodedResponses, Ids

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
EncodeResponses = Callable[[Conversation, Sequence[Conversation], str | None], EncodedResponses | Failure]

_MOST_CERTAIN = 0.99  # where a label has no strength, its log-odds are those of at most this probability


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptGroup:
    """A prompt with N responses and m labelled pairs of them; a slot is a response's place among the N.

    | field              | type          | meaning |
    | ---                | ---           | --- |
    | `tokens`           | tuple of int  | the prompt; empty for a model whose prompt is not shared |
    | `responses`, `types`, `images`, `n_prompt` | | as in `EncodedResponses` |
    | `members`          | int64[N]      | rows of the responses in `PreferencePairs` |
    | `first`, `second`  | int64[m]      | slots of the chosen and the rejected response |
    | `p`                | float64[m]    | probability that the first is better |
    | `weight`, `strength` | float64[m]  | weight of the pair; log-odds of its label |
    | `rank`             | int64[N]      | 1 is the best: the data's ranking, else by net wins (Copeland 1951) |
    | `tied`             | int64[t, 2]   | slots of equal rank in the data's ranking |
    | `lengths`          | float64[N]    | characters of the responses, as `count_target_characters` counts them |
    | `aspects`          | float64[m, K] | probability that the first is better in each aspect; NaN: not labelled |
    """

    prompt: int
    tokens: Ids
    responses: tuple[Ids, ...]
    types: tuple[Ids, ...] | None
    members: Int64
    first: Int64
    second: Int64
    p: Float64
    weight: Float64
    strength: Float64
    rank: Int64
    tied: Int64
    lengths: Float64
    aspects: Float64
    images: tuple[tuple[Part, ...], ...] = ()
    n_prompt: int = 0

    def __len__(self) -> int:
        return len(self.responses)


@dataclass(frozen=True, slots=True)
class PromptGroups:
    """Encoded prompts. `dropped`: pairs that cannot be learnt from, by reason; `cut`: texts that lost tokens."""

    groups: tuple[PromptGroup, ...]
    dropped: dict[str, int]
    cut: int


def build_groups(
    pairs: PreferencePairs, encode: EncodeResponses, *, aspects: Sequence[str] = ()
) -> PromptGroups:
    """Group the pairs by prompt, in the order of the prompts, and encode prompts and responses.

    Args:
        pairs: Labelled pairs of texts.
        encode: Encodes a prompt with its responses.
        aspects: Names of the labelled aspects to learn, K of them.
    """
    labels = np.array([pairs.aspects[name] for name in aspects]).reshape(len(aspects), len(pairs)).T
    dropped: Counter[str] = Counter()
    lengths = np.array([count_target_characters(response) for response in pairs.responses], np.float64)
    groups, cut = [], 0
    order = np.argsort(pairs.prompt, kind="stable")
    starts = np.flatnonzero(np.diff(pairs.prompt[order], prepend=-1))
    for rows in np.split(order, starts[1:]) if len(order) else []:
        prompt = int(pairs.prompt[rows[0]])
        members = np.unique(np.concatenate([pairs.chosen[rows], pairs.rejected[rows]]))
        encoded = encode(
            pairs.contexts[prompt], [pairs.responses[member] for member in members], pairs.tools[prompt]
        )
        if isinstance(encoded, Failure):
            dropped[encoded.reason] += len(rows)
            continue
        cut += encoded.cut
        group = _build_group(pairs, prompt, members, rows, encoded, labels, lengths, dropped)
        if group is not None:
            groups.append(group)
    return PromptGroups(tuple(groups), dict(dropped), cut)


def count_target_characters(response: Conversation) -> int:
    """Count the characters of what a response is judged by: what the assistant says, thinks and calls.

    Results of tools and turns of others are not its words. `is_target` of a message says otherwise.
    """
    return sum(
        len(plain_text(message.content))
        + len(message.reasoning or "")
        + sum(len(call.name) + len(call.arguments) for call in message.tool_calls)
        for message in response
        if (message.role == "assistant" if message.is_target is None else message.is_target)
    )


def is_held_out(prompt_id: str, share: float) -> bool:
    """Tell whether a prompt is kept from training; only its id decides, so that it never changes sides."""
    return int.from_bytes(hash_prompt_id(prompt_id), "big") < share * 2.0**128


def _build_group(
    pairs: PreferencePairs,
    prompt: int,
    members: Int64,
    rows: Int64,
    encoded: EncodedResponses,
    aspects: Float64,
    lengths: Float64,
    dropped: Counter[str],
) -> PromptGroup | None:
    """Build the group of one prompt, and count the pairs that are dropped; None where none is left."""
    first, second = (np.searchsorted(members, side[rows]) for side in (pairs.chosen, pairs.rejected))
    inputs = list(zip(encoded.responses, encoded.images or repeat(()), strict=False))
    differ = np.array([inputs[a] != inputs[b] for a, b in zip(first, second, strict=True)])
    has_weight = pairs.weight[rows] > 0
    dropped["equal after truncation"] += int((~differ).sum())
    dropped["weight is 0"] += int((differ & ~has_weight).sum())
    for reason in [reason for reason, number in dropped.items() if not number]:
        del dropped[reason]
    usable = differ & has_weight
    if not usable.any():
        return None
    first, second, rows = first[usable], second[usable], rows[usable]
    p = pairs.p_chosen[rows]
    clipped = np.clip(p, 1.0 - _MOST_CERTAIN, _MOST_CERTAIN)
    log_odds = np.log(clipped / (1.0 - clipped))
    ranks = pairs.rank[members]
    has_ranking = bool((ranks > 0).all())
    return PromptGroup(
        prompt=prompt,
        tokens=encoded.prompt,
        responses=encoded.responses,
        types=encoded.types,
        members=members,
        first=first,
        second=second,
        p=p,
        weight=pairs.weight[rows],
        strength=np.where(np.isnan(pairs.strength[rows]), log_odds, pairs.strength[rows]),
        rank=ranks if has_ranking else _rank_by_net_wins(first, second, p, len(members)),
        tied=_list_ties(ranks) if has_ranking else np.empty((0, 2), np.int64),
        lengths=lengths[members],
        aspects=aspects[rows],
        images=encoded.images,
        n_prompt=encoded.n_prompt,
    )


def _rank_by_net_wins(first: Int64, second: Int64, p: Float64, responses: int) -> Int64:
    """Return int64[N]: dense ranks by wins minus losses, 1 the best."""
    wins = np.sign(p - 0.5)
    net = np.bincount(first, wins, responses) - np.bincount(second, wins, responses)
    return np.asarray(np.unique(-net, return_inverse=True)[1] + 1, np.int64)


def _list_ties(ranks: Int64) -> Int64:
    """Return int64[t, 2]: all pairs of slots that share a rank."""
    equal = np.triu(ranks[:, None] == ranks[None, :], k=1)
    return np.argwhere(equal).astype(np.int64)
