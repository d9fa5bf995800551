"""The judgments that a judge with `sees_other_judgments` gets to read: of judges before it, and imported ones."""

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


def add_other_judgments(
    lake: Lake, panel: Panel, configured: ConfiguredJudge, items: Sequence[PromptItem]
) -> list[PromptItem]:
    """Return the items with the judgments of earlier judges, if this judge reads them; people are never quoted."""
    if not configured.judge.sees_other_judgments:
        return list(items)
    names = (str(judge["name"]) for judge in panel.config.judge.judges)
    earlier = list(takewhile(lambda name: name != configured.name, names))
    quoted = make_annotator_table(panel.list_revisions(lake, earlier, imported=True))
    wanted = pa.table({"prompt_id": pa.array([item.prompt_id for item in items], pa.string())})
    by_prompt: dict[str, list[OtherJudgment]] = {}
    with lake.bind("wanted", wanted), lake.bind("hearing", quoted):
        for prompt_id, *fields in lake.rows(read_query("judge_opinions")):
            by_prompt.setdefault(prompt_id, []).append(OtherJudgment(*fields))
    return [
        dataclasses.replace(item, other_judgments=tuple(by_prompt.get(item.prompt_id, ()))) for item in items
    ]
