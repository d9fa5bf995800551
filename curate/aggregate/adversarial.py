"""Judges that the adversarial set fools: with `aggregate.guard: {most: 0.5}` they do not vote.

`curate evaluate --judges guard` measures how often each judge prefers an answer that says nothing to a plain good one.
A judge is out only when that rate is certainly above `most`: when the lower bound of its 95 % interval is.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from curate.config.aggregate import GuardSection
from curate.core.resources import read_query
from curate.lake.lake import Lake

IMPORTED = "imported"  # the revision of judgments that came with the data


def drop_fooled_judges(lake: Lake, panel: pa.Table, section: GuardSection | None) -> tuple[pa.Table, str]:
    """Drop the fooled judges from the panel (annotator_id, revision), and name them in a remark, "" if none.

    Judges that have not been measured, and people, stay.
    """
    if section is None:
        return panel, ""
    fooled = {
        judge: (rate, low) for judge, rate, low in lake.rows(read_query("aggregate_fooled"), [section.most])
    }
    members = [(row["annotator_id"], row["revision"]) for row in panel.to_pylist()]
    out = _select_fooled(lake, [member for member in members if member[0] in fooled])
    if not out:
        return panel, ""
    names = sorted({name for name, _ in out})
    rates = ", ".join(f"{name} ({fooled[name][0]:.2f}, at least {fooled[name][1]:.2f})" for name in names)
    kept = panel.filter(pa.array([member not in out for member in members]))
    return kept, f"without votes, since hack answers fool them: {rates}"


def _select_fooled(lake: Lake, named: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Select, of the panel members (name, revision) with the name of a fooled judge, the judge's own.

    A person of that name stays, and so do imported votes where the panel has a judge of that name.
    """
    if not named:
        return set()
    people = (
        "SELECT DISTINCT annotator_id, revision FROM judgments WHERE kind = 'human' AND annotator_id IN ?"
    )
    others = set(named) - set(lake.rows(people, [[name for name, _ in named]]))
    own = {(name, revision) for name, revision in others if revision != IMPORTED}
    return own | {member for member in others if member[0] not in {name for name, _ in own}}
