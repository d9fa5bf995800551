"""Read what the lake has for a judge: judgments of others (`sees_other_judgments`), its own verdicts on criteria.

The judgments are those of judges before it and imported ones. Verdicts are its own of all revisions (`keeps_verdicts`):
their ids say which of them still hold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import takewhile

import pyarrow as pa

from curate.core.resources import read_query
from curate.judge.base import OtherJudgment, PromptItem
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.criterion_answer import CriterionAnswer
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


def add_known_verdicts(
    lake: Lake, configured: ConfiguredJudge, items: Sequence[PromptItem]
) -> list[PromptItem]:
    """Return the items with what the judge has said of their responses' criteria before, if it keeps that."""
    if not configured.judge.keeps_verdicts:
        return list(items)
    wanted = pa.table({"prompt_id": pa.array([item.prompt_id for item in items], pa.string())})
    by_prompt: dict[str, list[CriterionAnswer]] = {}
    with lake.bind("wanted", wanted):
        for row in lake.arrow(read_query("judge_verdicts"), [configured.name]).to_pylist():
            by_prompt.setdefault(row.pop("prompt_id"), []).append(CriterionAnswer(**row))
    return [
        dataclasses.replace(item, known_verdicts=tuple(by_prompt.get(item.prompt_id, ()))) for item in items
    ]
