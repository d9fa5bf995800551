"""`curate aggregate` where labels are in doubt: the pairs whose labels by people would help most."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from curate.aggregate import aggregate_judgments
from curate.config.project import Config
from curate.core.progress import Track, no_progress
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.report.printable import shorten_name
from curate.verify.plan import route_pairs
from curate.verify.routing import open_mix
from curate.verify.state import read_pair_states, read_routing_pairs

PAIRS = 20
"""Labels from which on a panel of two opinions can be told apart."""


@dataclass(frozen=True, slots=True)
class HelpfulPair:
    """A pair to ask people about, by its ids, and the routing strategy that chose it."""

    prompt_id: str
    response_a: str
    response_b: str
    strategy: str


def aggregate_and_advise(lake: Lake, config: Config, *, track: Track = no_progress) -> Summary:
    """Aggregate, and where the labels may be worse than chance, name the pairs whose labels would help most.

    Args:
        lake: The lake.
        config: The project; `verify.plan.mix` chooses the pairs.
        track: Shows progress.
    """
    summary = aggregate_judgments(lake, config, track=track)
    doubts = [str(sentence) for (sentence,) in lake.rows(read_query("doubts"))]
    if summary.skipped or not any("worse than chance" in sentence for sentence in doubts):
        return summary
    pairs = find_helpful_pairs(lake, config)
    if not pairs:
        return summary
    lines = [
        f"The {len(pairs)} pairs whose labels would help most (`curate verify plan` plans questions like these):"
    ]
    beginnings = _read_beginnings(lake, {pair.prompt_id for pair in pairs})
    for pair in pairs:
        ids = f"{pair.prompt_id}  {pair.response_a}  {pair.response_b}"
        lines.append(f"  {ids}  ({pair.strategy})  {beginnings.get(pair.prompt_id, '')}".rstrip())
    return Summary(summary.stage, summary.counts, summary.seconds, note="\n".join([summary.note, *lines]))


def find_helpful_pairs(lake: Lake, config: Config, n: int = PAIRS) -> list[HelpfulPair]:
    """Find the pairs that the routing strategies of `verify.plan.mix` would ask about first, best first.

    Args:
        lake: A lake with labels.
        config: The project.
        n: Number of pairs.
    """
    strategies = open_mix(config.verify.plan.mix, folder=config.resolve("."))
    states = read_pair_states(lake, seed=config.verify.plan.seed)
    is_open = ~states.asked
    if not is_open.any():
        return []
    with_embeddings = any(entry.strategy.reads_embeddings for entry in strategies)
    pairs, rows = read_routing_pairs(lake, config, states, is_open, with_embeddings=with_embeddings)
    chosen = route_pairs(pairs, strategies, min(n, int(np.count_nonzero(is_open))))
    return [
        _name_pair(states.pairs.row(int(rows[index])), strategy)
        for strategy, indexes in chosen.items()
        for index in indexes
    ]


def _read_beginnings(lake: Lake, prompt_ids: Collection[str], length: int = 60) -> dict[str, str]:
    """Read how the last turn of prompts begins, in one line of at most `length` columns.

    Args:
        lake: The lake.
        prompt_ids: The prompts; those that it does not hold are left out.
        length: Columns.
    """
    rows = lake.rows(
        "SELECT prompt_id, memory.content_text(messages[-1].content)[:1000] FROM prompts "
        "WHERE prompt_id IN (SELECT unnest(?::VARCHAR[]))",
        [list(prompt_ids)],
    )
    return {prompt_id: shorten_name(text or "", length) for prompt_id, text in rows}


def _name_pair(ids: tuple[str, ...], strategy: str) -> HelpfulPair:
    prompt, a, b = ids
    return HelpfulPair(prompt, a, b, strategy)
