"""Whose judgments count now: what exports and reports call the panel."""

from __future__ import annotations

from curate.config.project import Config
from curate.core.resources import sql
from curate.lake.lake import Lake


def select_panel(reader: Lake, config: Config) -> None:
    """Make the temporary views `current_judgments` and `pairwise_statements` on this connection.

    They hold the judgments of the configured judges in their newest revisions, of the trained reward model once it
    has judged, and everything imported or by people; like the last iteration of the aggregation. `annotator_id` is one
    annotator's alone there: `sam (human)` where a model is called sam too.
    """
    judges = [str(judge["name"]) for judge in config.judge.judges]
    if config.train is not None and config.train.judge is not None:
        judges.append(config.train.judge)
    reader.rows(f"CREATE OR REPLACE TEMP TABLE panel AS {sql('current_panel')}", [judges])
    reader.rows(sql("current_judgments"))
    reader.rows("CREATE OR REPLACE TEMP TABLE names AS FROM renamed")
    if reader.value("SELECT count(*) FROM names"):
        reader.rows(sql("renamed_judgments"))
