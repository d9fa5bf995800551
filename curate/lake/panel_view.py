"""Whose judgments count now: what exports and reports call the panel."""

from __future__ import annotations

from collections.abc import Sequence

from curate.core.resources import read_query
from curate.lake.lake import Lake


def select_panel(reader: Lake, judges: Sequence[str]) -> None:
    """Make the temporary views `current_judgments` and `pairwise_statements` on this connection.

    They hold the judgments of `judges` (`Config.panel_names`) in their newest revisions, and everything imported or
    by people; like the last iteration of the aggregation. `annotator_id` is one
    annotator's alone there: `sam (human)` where a model is called sam too.
    """
    reader.rows(f"CREATE OR REPLACE TEMP TABLE panel AS {read_query('current_panel')}", [list(judges)])
    reader.rows(read_query("current_judgments"))
    reader.rows("CREATE OR REPLACE TEMP TABLE names AS FROM renamed")
    if reader.value("SELECT count(*) FROM names"):
        reader.rows(read_query("renamed_judgments"))
