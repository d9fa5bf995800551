"""Proposed criteria: cleaned, counted where they are of no use, and merged where they say the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from curate.data.rubric import Criterion
from curate.data.rubric_text import name_criterion
from curate.engine.base import Engine
from curate.rubric.lint import restates_label

_SAME_WORDS = 0.7  # share of the words of two sentences from which they say the same
_LEAST_WORDS = 3
_WORD = re.compile(r"\w+")
_LIST_MARK = re.compile(r"^(?:[-*•]|\d{1,3}[.)])\s+")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A criterion that a model has written.

    Attributes:
        text: The sentence.
        kind: hard: the prompt demands it; principle: a quality.
        method: Method that found it.
        prompt_ids: Prompts that it was found for.
        favours: How often it was said to speak for the better response less how often for the worse one.
        support: How often it was found.
    """

    text: str
    kind: Literal["hard", "principle"]
    method: str
    prompt_ids: tuple[str, ...]
    favours: int = 1
    support: int = 1


def clean_proposals(proposals: Sequence[Proposal], dropped: Counter[str], *, longest: int) -> list[Proposal]:
    """Return the proposals as plain sentences; those of no use are counted by reason.

    Args:
        proposals: Proposals.
        dropped: Takes the counts.
        longest: Characters that a sentence could have; one that has them all was cut off.
    """
    kept = []
    for proposal in proposals:
        text = _LIST_MARK.sub("", " ".join(proposal.text.split())).strip()
        if len(proposal.text) >= longest:
            dropped["cut off"] += 1
        elif len(_WORD.findall(text)) < _LEAST_WORDS:
            dropped["no sentence"] += 1
        elif restates_label(text):
            dropped["restates the label"] += 1
        else:
            kept.append(replace(proposal, text=text))
    return kept


def merge_proposals(
    proposals: Sequence[Proposal], *, embedder: Engine | None = None, similarity: float = 0.85
) -> list[Proposal]:
    """Merge proposals that say the same, those found most often first; the wording found most often stays.

    Args:
        proposals: Proposals of one rubric.
        embedder: Engine that embeds sentences; None: they are compared by their words.
        similarity: Cosine from which two sentences say the same.
    """
    exact = _join_equal(proposals)
    ordered = sorted(exact, key=lambda proposal: (-proposal.support, len(proposal.text), proposal.text))
    if not ordered:
        return []
    is_same = _compare_words(ordered)
    if embedder is not None:
        vectors = embedder.embed([proposal.text for proposal in ordered])
        is_same = vectors @ vectors.T >= similarity
    heads: dict[int, list[Proposal]] = {}
    for place, proposal in enumerate(ordered):
        head = next((head for head in heads if is_same[head, place]), place)
        heads.setdefault(head, []).append(proposal)
    merged = [_join(group) for group in heads.values()]
    return sorted(merged, key=lambda proposal: (-proposal.support, proposal.text))


def count_support(texts: Sequence[str], merged: Sequence[Proposal]) -> list[Proposal]:
    """Return sentences that a model has made of proposals, each with the support of those that it is nearest to.

    Args:
        texts: The sentences.
        merged: What they were made of.
    """
    words = [_list_words(text) for text in texts]
    groups: dict[int, list[Proposal]] = {}
    for proposal in merged:
        likeness = [_compare(_list_words(proposal.text), other) for other in words]
        groups.setdefault(likeness.index(max(likeness)), []).append(proposal)
    return [replace(_join(group), text=texts[place]) for place, group in sorted(groups.items())]


def build_criteria(proposals: Sequence[Proposal], pairs: int) -> tuple[Criterion, ...]:
    """Build criteria with names and a sentence on where they come from; weights wait for verification.

    Args:
        proposals: Merged proposals.
        pairs: Pairs that were read.
    """
    names: list[str] = []
    criteria = []
    for proposal in proposals:
        names.append(name_criterion(proposal.text, names))
        times = "once" if proposal.support == 1 else f"{proposal.support} times"
        prompts = len(set(proposal.prompt_ids))
        criteria.append(
            Criterion(
                name=names[-1],
                text=proposal.text,
                kind=proposal.kind,
                weight=1.0 if proposal.favours >= 0 else -1.0,
                reason=f"Found {times} ({proposal.method}) in {pairs:,} pairs, at {prompts:,} "
                f"prompt{'s' if prompts > 1 else ''}.",
            )
        )
    return tuple(criteria)


def _join_equal(proposals: Sequence[Proposal]) -> list[Proposal]:
    groups: dict[str, list[Proposal]] = {}
    for proposal in proposals:
        groups.setdefault(" ".join(_WORD.findall(proposal.text.lower())), []).append(proposal)
    return [_join(group) for group in groups.values()]


def _join(group: Sequence[Proposal]) -> Proposal:
    first = group[0]
    methods = list(dict.fromkeys(method for one in group for method in one.method.split(", ")))
    return replace(
        first,
        kind="hard" if all(one.kind == "hard" for one in group) else "principle",
        method=", ".join(methods),
        prompt_ids=tuple(dict.fromkeys(prompt for one in group for prompt in one.prompt_ids)),
        favours=sum(one.favours for one in group),
        support=sum(one.support for one in group),
    )


def _compare_words(proposals: Sequence[Proposal]) -> NDArray[np.bool_]:
    """bool[n, n]: whether two sentences share most of their words."""
    words = [_list_words(proposal.text) for proposal in proposals]
    return np.array([[_share_words(one, other) for other in words] for one in words], np.bool_)


def _list_words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


def _share_words(one: frozenset[str], other: frozenset[str]) -> bool:
    return _compare(one, other) >= _SAME_WORDS


def _compare(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the share of words in common."""
    return len(one & other) / (len(one | other) or 1)
