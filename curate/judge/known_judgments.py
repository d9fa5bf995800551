"""What a judge that hears others is told: the pairwise judgments of those before it on the panel, and imported ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import takewhile

import pyarrow as pa

from curate.core.resources import read_query
from curate.judge.base import Contest, Opinion
from curate.judge.configured import Panel, Seat
from curate.judge.pending import annotators
from curate.lake.lake import Lake


def with_opinions(lake: Lake, panel: Panel, seat: Seat, contests: Sequence[Contest]) -> list[Contest]:
    """The contests with what was said before `seat` was asked, if it hears others at all; people are never quoted."""
    if not seat.judge.hears:
        return list(contests)
    names = (str(judge["name"]) for judge in panel.config.judge.judges)
    before = list(takewhile(lambda name: name != seat.name, names))
    hearing = annotators(panel.revisions(lake, before, imported=True))
    wanted = pa.table({"prompt_id": pa.array([contest.prompt_id for contest in contests], pa.string())})
    said: dict[str, list[Opinion]] = {}
    with lake.bind("wanted", wanted), lake.bind("hearing", hearing):
        for prompt_id, *opinion in lake.rows(read_query("judge_opinions")):
            said.setdefault(prompt_id, []).append(Opinion(*opinion))
    return [
        dataclasses.replace(contest, opinions=tuple(said.get(contest.prompt_id, ()))) for contest in contests
    ]
