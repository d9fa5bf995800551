"""Stage 2 of the loop: labels are kept or refused without asking people (Skywork-Reward-V2, arXiv 2507.01352, 3.3).

A pair's label is the one that came with the data, else the panel's. Two reward models are compared with it: the best
model of stage 1, and the gold model, which is trained on people's verdicts alone. The label is kept if the gold model
agrees, and the best model or the panel of judges agrees too. Other labels are refused: turned round, or discarded.

| rule | counts |
|---|---|
| best model agrees | labels to which the best model gives more than ½ |
| panel agrees | of the other labels, those with which the panel agrees |
| gold model disagrees | labels refused because the gold model disagrees |
| neither agrees | labels refused although the gold model agrees: the best model and the panel do not |
| kept, flipped, discarded | the outcome of all rules |

The result is the label set "scaled-out" of `preferences` (its iteration 2). No guarantee covers it: check it on a
benchmark or with people.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from curate.config.project import Config
from curate.core.identity import content_id
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.lake.panel_view import select_panel
from curate.lake.runs import StageRun, Summary, find_newest_run
from curate.records import Preference, arrow_schema
from curate.verify.loop import (
    GOLD_MODEL,
    build_gold_config,
    find_best_checkpoint,
    list_checkpoints,
    require_training,
)

SCALED_OUT = 2  # iteration of this label set: 0 is the panel's, 1 that of the panel with the trained model
PART = "loop stage 2"
LEAST_DOUBT = 1e-6  # no probability of a label is nearer to 1
RULES = (
    *("verified by people", "best model agrees", "panel agrees", "gold model disagrees", "neither agrees"),
    *("kept", "flipped", "discarded", "without a label or a model's word"),
)
"""The counts of stage 2 in the order in which they are shown; the table `runs` keeps them by name."""


def scale_out_labels(lake: Lake, config: Config) -> Summary:
    """Decide about every pair and write the scaled-out label set; people's verdicts stay as they are.

    Raises:
        CurateError: curate.yaml trains no model that judges, or that model or the gold model has judged nothing.
    """
    section, run = require_training(config), StageRun(lake, "verify", config_hash=config.verify.loop.digest)
    select_panel(lake, config.panel_names)
    best = find_best_checkpoint(lake, section).revision
    gold = list_checkpoints(lake, require_training(build_gold_config(config)))[-1].revision
    base = lake.value("SELECT assessed FROM final_iteration")
    pairs = lake.frame(read_query("verify_consistency"), [section.judge, best, GOLD_MODEL, gold, base])
    decided = decide_labels(pairs, recycle=config.verify.loop.recycle)
    rules = count_rules(decided)
    fingerprint = content_id(config.verify.loop.digest, best, gold, decided.hash_rows().sort().to_list())
    written = lake.value("SELECT count(*) FROM preferences WHERE iteration = ?", [SCALED_OUT])
    if written and find_newest_run(lake, "verify", PART) == fingerprint:
        return run.summary(skipped=True)
    labels = decided.with_columns(iteration=pl.lit(SCALED_OUT), run_id=pl.lit(run.run_id))
    schema = arrow_schema(Preference)
    with run.chunk(PART, fingerprint=fingerprint, status="done") as (writer, counts):
        rows = pa.table(labels.select(schema.names).to_arrow()).cast(schema)
        writer.replace("preferences", rows, "prompt_id", "iteration = ?", [SCALED_OUT])
        writer.delete("rankings", "iteration = ?", [SCALED_OUT])  # the ranking of responses stays the panel's
        writer.append("rankings", lake.arrow(
            "SELECT * REPLACE (CAST(? AS BIGINT) AS iteration, ? AS run_id) FROM rankings WHERE iteration = ?",
            [SCALED_OUT, run.run_id, base],
        ))  # fmt: skip
        dropped = decided.filter(pl.col("status").is_in(["discarded", "routed"]))
        counts.rows_in = decided.height
        counts.dropped = dict(dropped.group_by("reason").len().sort("reason").iter_rows())
        counts.rows_kept = counts.rows_in - counts.rows_dropped
        counts.details["rules"] = rules
    return run.summary(note=", ".join(f"{rule}: {n:,}" for rule, n in rules.items()))


def decide_labels(pairs: pl.DataFrame, *, recycle: bool) -> pl.DataFrame:
    """Decide which labels are kept, refused or left as they are.

    Args:
        pairs: Columns of `preferences`, and `original`, `panel`, `best`, `gold`: probabilities that a is better.
        recycle: Turn refused labels round in place of discarding them.

    Returns:
        The pairs with new `p_a`, `strength`, `outcome`, `status`, `confidence` and `reason`. A label's probability is
        the mean of the two models' and the panel's, but at least ½.
    """
    columns = ("original", "panel", "best", "gold")
    original, panel, best, gold = (
        pairs[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() - 0.5 for name in columns
    )
    side = np.sign(np.where(np.isnan(original), panel, original))
    people = (pairs["status"] == "verified").to_numpy()
    unjudged = np.isnan(best) | np.isnan(gold)
    agrees = {name: x * side > 0 for name, x in (("best", best), ("panel", panel), ("gold", gold))}
    reason = np.select(
        [people, ~(np.abs(side) > 0), unjudged, ~agrees["gold"], agrees["best"], agrees["panel"]],
        ["people", "no label", "no model", "gold model disagrees", "best model agrees", "panel agrees"],
        "neither agrees",
    )
    is_kept = np.isin(reason, ["best model agrees", "panel agrees"])
    refused = np.isin(reason, ["gold model disagrees", "neither agrees"])
    side = np.where(refused & recycle, -side, side)
    status = np.select(
        [people, is_kept, refused & recycle, reason == "no model"],
        ["verified", "accepted", "flipped", "routed"],
        "discarded",
    )
    mean = np.stack([best, gold, np.where(np.isnan(panel), (best + gold) / 2, panel)]).mean(axis=0) + 0.5
    confidence = np.clip(np.where(side > 0, mean, 1 - mean), 0.5, 1 - LEAST_DOUBT)
    p_a = np.where(side > 0, confidence, 1 - confidence)
    new = pl.DataFrame(
        {
            "p_a": p_a,
            "strength": np.log(p_a / (1 - p_a)),
            "outcome": np.where(side > 0, "a", "b"),
            "status": status,
            "confidence": confidence,
            "reason": reason,
        }
    )
    stays = pl.Series(people | ~(is_kept | refused))  # people's verdicts, and pairs to which no rule applies
    figures = [
        pl.when(stays).then(pairs[name]).otherwise(new[name]).alias(name)
        for name in ("p_a", "strength", "outcome", "confidence")
    ]
    return pairs.with_columns(*figures, new["status"], new["reason"], best_agrees=pl.Series(agrees["best"]))


def count_rules(decided: pl.DataFrame) -> dict[str, int]:
    """Count the pairs that each of `RULES` applies to."""
    unknown = pl.col("reason").is_in(["no label", "no model"])
    asked = decided.filter(~unknown & (pl.col("reason") != "people"))
    groups = (
        decided.filter(reason="people"),
        asked.filter("best_agrees"),
        asked.filter(reason="panel agrees"),
        asked.filter(reason="gold model disagrees"),
        asked.filter(reason="neither agrees"),
        *(asked.filter(status=status) for status in ("accepted", "flipped", "discarded")),
        decided.filter(unknown),
    )
    return {rule: pairs.height for rule, pairs in zip(RULES, groups, strict=True)}
