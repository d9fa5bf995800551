"""Stage 2 of the loop: which labels to believe without asking people (Skywork-Reward-V2, arXiv 2507.01352, 3.3).

A pair's label is the one that came with the data, else the panel's. Two reward models are held against it: the best one
of stage 1, and one trained on people's verdicts alone, the gold model. The label is kept if the gold model agrees, and
the best model or the panel of judges does too. What is left over is recycled: its label is turned round.

| rule | counts |
|---|---|
| best model agrees | labels that the best model gives more than ½: the panel need not be asked about them |
| panel agrees | of the others, those that the panel bears out |
| gold model disagrees | against the model of people's verdicts: not kept |
| neither agrees | the gold model agrees, but neither the best model nor the panel does: not kept |
| kept, flipped, discarded | what became of the labels |

The result is iteration 2 of `preferences`. No guarantee speaks of it: hold it against a benchmark, or people.
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

SCALED_OUT = 2  # of the labels: 0 is the panel's, 1 the panel's with the trained model
PART = "loop stage 2"
LEAST_DOUBT = 1e-6
RULES = (
    *("verified by people", "best model agrees", "panel agrees", "gold model disagrees", "neither agrees"),
    *("kept", "flipped", "discarded", "without a label or a model's word"),
)
"""What stage 2 counts, in the order in which it is shown; the table `runs` keeps the numbers by name."""


def scale_out_labels(lake: Lake, config: Config) -> Summary:
    """Decide about every pair, and write iteration 2; people's verdicts stay as they are."""
    section, run = require_training(config), StageRun(lake, "verify", config_hash=config.verify.loop.digest)
    select_panel(lake, config.panel_names)
    best = find_best_checkpoint(lake, section).revision
    gold = list_checkpoints(lake, require_training(build_gold_config(config)))[-1].revision
    base = lake.value("SELECT max(iteration) FROM preferences WHERE iteration < ?", [SCALED_OUT])
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
        writer.delete(
            "rankings", "iteration = ?", [SCALED_OUT]
        )  # the order of responses is the panel's still
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
    """The pairs with new `p_a`, `strength`, `outcome`, `status`, `confidence` and `reason`.

    `pairs`: the columns of `preferences`, and `original`, `panel`, `best`, `gold`: probabilities that a is better.
    A label's new probability is the mean of what the two models and the panel say, but at least ½.
    """
    columns = ("original", "panel", "best", "gold")
    original, panel, best, gold = (
        pairs[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() - 0.5 for name in columns
    )
    side = np.sign(np.where(np.isnan(original), panel, original))
    people = (pairs["status"] == "verified").to_numpy()
    unheard = np.isnan(best) | np.isnan(gold)
    agrees = {name: x * side > 0 for name, x in (("best", best), ("panel", panel), ("gold", gold))}
    reason = np.select(
        [people, ~(np.abs(side) > 0), unheard, ~agrees["gold"], agrees["best"], agrees["panel"]],
        ["people", "no label", "no model", "gold model disagrees", "best model agrees", "panel agrees"],
        "neither agrees",
    )
    kept = np.isin(reason, ["best model agrees", "panel agrees"])
    refused = np.isin(reason, ["gold model disagrees", "neither agrees"])
    side = np.where(refused & recycle, -side, side)
    status = np.select(
        [people, kept, refused & recycle, reason == "no model"],
        ["verified", "accepted", "flipped", "routed"],
        "discarded",
    )
    told = np.stack([best, gold, np.where(np.isnan(panel), (best + gold) / 2, panel)]).mean(axis=0) + 0.5
    sure = np.clip(np.where(side > 0, told, 1 - told), 0.5, 1 - LEAST_DOUBT)
    p_a = np.where(side > 0, sure, 1 - sure)
    new = pl.DataFrame(
        {
            "p_a": p_a,
            "strength": np.log(p_a / (1 - p_a)),
            "outcome": np.where(side > 0, "a", "b"),
            "status": status,
            "confidence": sure,
            "reason": reason,
        }
    )
    stays = pl.Series(people | ~(kept | refused))  # people's word, and what the rules cannot speak of
    figures = [
        pl.when(stays).then(pairs[name]).otherwise(new[name]).alias(name)
        for name in ("p_a", "strength", "outcome", "confidence")
    ]
    return pairs.with_columns(*figures, new["status"], new["reason"], best_agrees=pl.Series(agrees["best"]))


def count_rules(decided: pl.DataFrame) -> dict[str, int]:
    """How many pairs each of `RULES` met, and what became of them."""
    unknown = pl.col("reason").is_in(["no label", "no model"])
    asked = decided.filter(~unknown & (pl.col("reason") != "people"))
    met = (
        decided.filter(reason="people"),
        asked.filter("best_agrees"),
        asked.filter(reason="panel agrees"),
        asked.filter(reason="gold model disagrees"),
        asked.filter(reason="neither agrees"),
        *(asked.filter(status=status) for status in ("accepted", "flipped", "discarded")),
        decided.filter(unknown),
    )
    return {rule: pairs.height for rule, pairs in zip(RULES, met, strict=True)}
