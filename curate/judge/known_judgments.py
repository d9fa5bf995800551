"""What a judge that hears others is told: the pairwise judgments of those before it on the panel, and imported ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import takewhile

import pyarrow as pa

from curate.core.resources import read_query
from curate.judge.base import OtherJudgment, PromptItem
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.pending import make_annotator_table
from curate.lake.lake import Lake


def add_other_judgments(lake: Lake, panel: Panel, seat: ConfiguredJudge, contests: Sequence[PromptItem]) -> list[PromptItem]:
    """The contests with what was said before `seat` was asked, if it hears others at all; people are never quoted."""
    if not seat.judge.hears:
        return list(contests)
    names = (str(judge["name"]) for judge in panel.config.judge.judges)
    before = list(takewhile(lambda name: name != seat.name, names))
    hearing = make_annotator_table(panel.revisions(lake, before, imported=True))
    wanted = pa.table({"prompt_id": pa.array([contest.prompt_id for contest in contests], pa.string())})
    said: dict[str, list[OtherJudgment]] = {}
    with lake.bind("wanted", wanted), lake.bind("hearing", hearing):
        for prompt_id, *opinion in lake.rows(read_query("judge_opinions")):
            said.setdefault(prompt_id, []).append(OtherJudgment(*opinion))
    return [
        dataclasses.replace(contest, opinions=tuple(said.get(contest.prompt_id, ()))) for contest in contests
    ]
