"""What a language model is trained on: each prompt with all its responses, as tokens, and what is known of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from curate.data.preference_rows import PreferencePairs, Turns
from curate.engine.base import Failure
from curate.records import Part
from curate.reward.embedding_reward import hash_prompt_id
from curate.reward.tokens import EncodedResponses, Ids

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
EncodeResponses = Callable[[Turns, Sequence[str]], EncodedResponses | Failure]

_SURE = 0.99  # log-odds of a label without a strength are taken up to this probability


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptGroup:
    """A prompt with N responses and m comparisons of them.

    `responses`, `types`, `images`: as in `Encoded`. `members` int64[N]: their places in the `PreferencePairs`; `first`,
    `second` int64[m]: slots of the better and the worse one; `p`, `weight`, `strength` float64[m]; `rank` int64[N],
    1 the best: the data's, or by net wins (Copeland 1951) where it has pairs only; `tied` int64[t, 2]: slots of
    equal rank in the data's own ranking; `lengths` float64[N]: characters; `aspects` float64[m, K]: probability that
    the first is better in each aspect, not a number where nobody said.
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

    def __len__(self) -> int:
        return len(self.responses)


@dataclass(frozen=True, slots=True)
class PromptGroups:
    """`dropped`: pairs that cannot be learnt from, by reason. `cut`: texts that lost tokens."""

    groups: tuple[PromptGroup, ...]
    dropped: dict[str, int]
    cut: int


def build_groups(
    pairs: PreferencePairs, encode: EncodeResponses, *, aspects: Sequence[str] = ()
) -> PromptGroups:
    """Group the pairs by prompt, in the order of the prompts, and encode them. `aspects`: those to learn."""
    labels = np.array([pairs.aspects[name] for name in aspects]).reshape(len(aspects), len(pairs)).T
    dropped: Counter[str] = Counter()
    groups, cut = [], 0
    order = np.argsort(pairs.prompt, kind="stable")
    starts = np.flatnonzero(np.diff(pairs.prompt[order], prepend=-1))
    for rows in np.split(order, starts[1:]) if len(order) else []:
        prompt = int(pairs.prompt[rows[0]])
        members = np.unique(np.concatenate([pairs.chosen[rows], pairs.rejected[rows]]))
        encoded = encode(pairs.contexts[prompt], [pairs.responses[at] for at in members])
        if isinstance(encoded, Failure):
            dropped[encoded.reason] += len(rows)
            continue
        cut += encoded.cut
        group = _build_group(pairs, prompt, members, rows, encoded, labels, dropped)
        if group is not None:
            groups.append(group)
    return PromptGroups(tuple(groups), dict(dropped), cut)


def is_held_out(prompt_id: str, share: float) -> bool:
    """Whether a prompt is kept from training: a function of its id alone, so that it never changes sides."""
    return int.from_bytes(hash_prompt_id(prompt_id), "big") < share * 2.0**128


def _build_group(
    pairs: PreferencePairs,
    prompt: int,
    members: Int64,
    rows: Int64,
    encoded: EncodedResponses,
    aspects: Float64,
    dropped: Counter[str],
) -> PromptGroup | None:
    first, second = (np.searchsorted(members, side[rows]) for side in (pairs.chosen, pairs.rejected))
    read = list(zip(encoded.responses, encoded.images or repeat(()), strict=False))
    differ = np.array([read[a] != read[b] for a, b in zip(first, second, strict=True)])
    counts = pairs.weight[rows] > 0
    dropped["equal after truncation"] += int((~differ).sum())
    dropped["weight is 0"] += int((differ & ~counts).sum())
    for reason in [reason for reason, number in dropped.items() if not number]:
        del dropped[reason]
    kept = differ & counts
    if not kept.any():
        return None
    first, second, rows = first[kept], second[kept], rows[kept]
    p = pairs.p_chosen[rows]
    sure = np.clip(p, 1.0 - _SURE, _SURE)
    ranks = pairs.rank[members]
    ranked = bool((ranks > 0).all())
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
        strength=np.where(np.isnan(pairs.strength[rows]), np.log(sure / (1.0 - sure)), pairs.strength[rows]),
        rank=ranks if ranked else _rank_by_net_wins(first, second, p, len(members)),
        tied=_list_ties(ranks) if ranked else np.empty((0, 2), np.int64),
        lengths=pairs.lengths[members].astype(np.float64),
        aspects=aspects[rows],
        images=encoded.images,
    )


def _rank_by_net_wins(first: Int64, second: Int64, p: Float64, responses: int) -> Int64:
    """int64[N]: dense ranks by wins less losses."""
    won = np.sign(p - 0.5)
    net = np.bincount(first, won, responses) - np.bincount(second, won, responses)
    return np.asarray(np.unique(-net, return_inverse=True)[1] + 1, np.int64)


def _list_ties(ranks: Int64) -> Int64:
    equal = np.triu(ranks[:, None] == ranks[None, :], k=1)
    return np.argwhere(equal).astype(np.int64)
