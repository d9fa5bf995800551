"""Judges that the guard set fools: with `aggregate.guard: {most: 0.5}` they do not vote.

`curate evaluate --judges guard` measures how often each judge prefers an answer that says nothing to a plain good one.
A judge is out only when that rate is certainly above `most`: when the lower bound of its 95 % interval is.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from curate.config import GuardSection
from curate.lake import Lake
from curate.resources import sql


def unfooled(lake: Lake, panel: pa.Table, section: GuardSection | None) -> tuple[pa.Table, str]:
    """The panel (annotator_id, revision) without those judges, and a remark that names them; empty if there are none.

    Judges that have not been measured, and people, stay.
    """
    if section is None:
        return panel, ""
    fooled = {judge: (rate, low) for judge, rate, low in lake.rows(sql("aggregate_fooled"), [section.most])}
    out = [name for name in panel["annotator_id"].to_pylist() if name in fooled]
    told = ", ".join(f"{name} ({fooled[name][0]:.2f}, at least {fooled[name][1]:.2f})" for name in out)
    kept = panel.filter(pc.invert(pc.is_in(panel["annotator_id"], pa.array(out, pa.string()))))
    return kept, f"without votes, since hack answers fool them: {told}" if out else ""
