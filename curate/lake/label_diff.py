"""Which labels differ between two states of the lake, and why: votes, revisions of judges, settings, people.

The earlier state is read by time travel, with the panel that its own labels stand on; so it works for every snapshot
that the lake still has, whatever curate.yaml says today.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.lake.panel_view import select_panel

Reason = Literal[
    "people",
    "new votes",
    "votes gone",
    "judge revision",
    "setting",
    "label set",
    "guarantee",
    "other pairs of the prompt",
    "votes elsewhere",
]
"""Why a label changed.

| reason | |
| --- | --- |
| people | somebody answered, changed an answer or took it back, about this pair |
| new votes, votes gone | an annotator has said more about this pair; or its votes do not count any more |
| judge revision | a judge's votes on this pair are those of another revision: its options, template or model changed |
| setting | the settings of `aggregate` are others, or the version of curate is |
| label set | the final labels are another set: with the trained model, or scaled out |
| guarantee | the threshold is another one, so the status changed and the label did not |
| other pairs of the prompt | none of these; votes about other pairs of the prompt changed its order |
| votes elsewhere | none of these: what was learnt of the annotators elsewhere weighs the same votes in another way |
"""

_LABELS = "SELECT prompt_id, response_a, response_b, outcome, status, p_a FROM final_preferences"
_PANEL = "SELECT DISTINCT annotator_id FROM final_annotators WHERE kind <> 'human'"
_PAIR = ("prompt_id", "response_a", "response_b")


@dataclass(frozen=True, slots=True)
class LabelState:
    """One side of the comparison: the final labels at a snapshot, and the aggregation that made them."""

    snapshot: int
    run_id: str | None
    iteration: int | None
    labels: int
    guarantees: str | None
    config_hash: str | None
    code_version: str | None
    settings: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting of `aggregate` that differs; None is the default."""

    key: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a label changed, and whose votes they were where it is about votes."""

    reason: Reason
    annotators: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangedLabel:
    """A pair whose label differs; `kind`: reversed, tie (to or from one), status, new or gone."""

    prompt_id: str
    response_a: str
    response_b: str
    kind: Literal["reversed", "tie", "status", "new", "gone"]
    outcome_before: str | None
    outcome_after: str | None
    status_before: str | None
    status_after: str | None
    p_a_before: float | None
    p_a_after: float | None
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class LabelDiff:
    """The difference of two states. A label may have several causes, and counts in `reasons` for each."""

    before: LabelState
    after: LabelState
    changed: int
    kinds: dict[str, int]
    reasons: dict[str, int]
    settings: list[SettingChange] = field(default_factory=list)
    pairs: list[ChangedLabel] = field(default_factory=list)


def compare_labels(before: Lake, after: Lake) -> LabelDiff:
    """Compare the final labels of two states of one lake.

    Args:
        before: The lake, opened at the earlier snapshot.
        after: The lake, opened at the later one.

    Raises:
        CurateError: A state has no labels.
    """
    old, new = _read_state(before), _read_state(after)
    with after.bind("labels_before", before.arrow(_LABELS)):
        changed = after.arrow(read_query("diff_labels"))
    prompts = pa.table({"prompt_id": changed["prompt_id"].unique()})
    votes = _compare_votes(before, after, prompts)
    settings = _compare_settings(old, new)
    pairs = [_explain_change(row, votes, old, new, is_set=bool(settings)) for row in changed.to_pylist()]
    return LabelDiff(
        before=old,
        after=new,
        changed=len(pairs),
        kinds=dict(Counter(pair.kind for pair in pairs)),
        reasons=dict(Counter(cause.reason for pair in pairs for cause in pair.causes)),
        settings=settings,
        pairs=pairs,
    )


def _read_state(lake: Lake) -> LabelState:
    (row,) = lake.arrow(read_query("diff_state")).to_pylist()
    snapshot = lake.snapshot()
    if row["iteration"] is None:
        raise CurateError(
            f"There are no labels at snapshot {snapshot}: name a run of `aggregate` or a later one (`curate runs`)."
        )
    settings = row.pop("settings")
    return LabelState(snapshot=snapshot, settings=None if settings is None else json.loads(settings), **row)


def _compare_votes(before: Lake, after: Lake, prompts: pa.Table) -> dict[tuple[str, ...], list[Cause]]:
    """Map each pair whose votes differ to the causes; only pairs of `prompts` are looked at."""
    old, new = (_read_votes(lake, prompts) for lake in (before, after))
    with after.bind("votes_before", old), after.bind("votes_after", new):
        rows = after.rows(read_query("diff_votes"))
    names: dict[tuple[str, ...], dict[Reason, list[str]]] = {}
    for *pair, annotator, reason in rows:
        names.setdefault(tuple(pair), {}).setdefault(reason, []).append(annotator)
    return {
        pair: [Cause(reason, tuple(annotators)) for reason, annotators in by_reason.items()]
        for pair, by_reason in names.items()
    }


def _read_votes(lake: Lake, prompts: pa.Table) -> pa.Table:
    select_panel(lake, [name for (name,) in lake.rows(_PANEL)])
    with lake.bind("changed_prompts", prompts):
        return lake.arrow(read_query("diff_read_votes"))


def _compare_settings(old: LabelState, new: LabelState) -> list[SettingChange]:
    changes = []
    if old.settings is not None and new.settings is not None:
        keys = sorted(old.settings.keys() | new.settings.keys())
        values = [(key, old.settings.get(key), new.settings.get(key)) for key in keys]
        changes = [SettingChange(f"aggregate.{key}", a, b) for key, a, b in values if a != b]
    if not changes and old.config_hash != new.config_hash:  # of a run that did not keep its settings
        changes.append(SettingChange("aggregate", old.config_hash, new.config_hash))
    if old.code_version != new.code_version:
        changes.append(SettingChange("version of curate", old.code_version, new.code_version))
    return changes


def _explain_change(
    row: dict[str, Any],
    votes: dict[tuple[str, ...], list[Cause]],
    old: LabelState,
    new: LabelState,
    *,
    is_set: bool,
) -> ChangedLabel:
    pair = tuple(str(row[name]) for name in _PAIR)
    causes = list(votes.get(pair, []))
    if is_set:
        causes.append(Cause("setting"))
    if old.iteration != new.iteration:
        causes.append(Cause("label set"))
    if row["kind"] == "status" and old.guarantees != new.guarantees:
        causes.append(Cause("guarantee"))
    if not causes:
        same_prompt = any(other[0] == pair[0] for other in votes)
        causes.append(Cause("other pairs of the prompt" if same_prompt else "votes elsewhere"))
    return ChangedLabel(**row, causes=tuple(causes))
