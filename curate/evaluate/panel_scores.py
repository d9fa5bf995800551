"""What everyone in the lake says about the pairs of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from curate.core.resources import read_query
from curate.evaluate.gold import Gold
from curate.evaluate.scores import (
    BEST,
    COVERAGE,
    PAIRS,
    Score,
    best_credit,
    estimates,
    pair_credit,
    win_rates,
)
from curate.lake.lake import Lake
from curate.stats.accuracy import LENGTH, RANDOM, MeanEstimate

_COLUMNS = ("subject", "prompt_id", "a", "b", "p")


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Predictions (subject, prompt_id, a, b, p) of annotators, labels and baselines on all pairs of the gold.

    `annotators` also has `kind`, `labels` also has `accepted`; `rankings`: subject, prompt_id, response_id, score.
    """

    annotators: pl.DataFrame
    labels: pl.DataFrame
    rankings: pl.DataFrame
    baselines: pl.DataFrame


def read_panel(lake: Lake, gold: Gold) -> Panel:
    with lake.bind("gold_pairs", gold.pairs.select("prompt_id", "a", "b")):
        annotators = lake.frame(read_query("evaluate_annotators"))
        labels = lake.frame(read_query("evaluate_labels"))
    with lake.bind("gold_responses", gold.responses.select("prompt_id", "response_id")):
        rankings = lake.frame(read_query("evaluate_rankings"))
    longer = (pl.col("length_a") - pl.col("length_b")).sign()
    baselines = [
        gold.pairs.select(pl.lit(name).alias("subject"), "prompt_id", "a", "b", (0.5 + 0.5 * sign).alias("p"))
        for name, sign in ((LENGTH, longer), (RANDOM, pl.lit(0.0)))
    ]
    return Panel(annotators=annotators, labels=labels, rankings=rankings, baselines=pl.concat(baselines))


def score_panel(panel: Panel, gold: Gold, *, trained: str | None, resamples: int) -> list[Score]:
    """All scores: annotators by name, then best judge, majority, labels per iteration, baselines.

    Majority: one vote for each judge and pair, whatever it said most (both orders together).
    """
    judges = judges_of(panel, trained)
    everyone, labels = panel.annotators.select(_COLUMNS), panel.labels.select(_COLUMNS)
    best = [judges.filter(pl.col("subject") == name) for name in [best_judge(judges, gold)] if name]
    voted = [everyone, *(renamed(each, "best judge") for each in best), majority(judges)]
    ranked = [(each, win_rates(each)) for each in (*voted, panel.baselines)]
    ranked.insert(len(voted), (labels, panel.rankings))

    prompts = gold.pairs["prompt_id"].unique().sort().to_list()
    scores = [
        score
        for predictions, placed in ranked
        for score in _scores(predictions, placed, gold, prompts, resamples)
    ]
    accepted = pair_credit(gold.pairs, panel.labels.filter("accepted").select(_COLUMNS))
    exported = estimates(accepted, prompts, PAIRS, resamples=resamples)
    return scores + [Score(each.subject, each.metric, each.estimate, "accepted") for each in exported]


def judges_of(panel: Panel, trained: str | None) -> pl.DataFrame:
    """All annotators but people and `trained`, the reward model that learnt from the judges' own labels."""
    return panel.annotators.filter(pl.col("kind") != "human", pl.col("subject") != (trained or ""))


def majority(judges: pl.DataFrame) -> pl.DataFrame:
    """The side that more judges are on; ½ where as many are on either."""
    balance = (pl.col("p") - 0.5).round(9).sign().sum()
    by_pair = judges.group_by("prompt_id", "a", "b", maintain_order=True)
    pairs = by_pair.agg(p=0.5 + 0.5 * balance.sign(), subject=pl.lit("majority"))
    return pairs.select(_COLUMNS)


def best_judge(judges: pl.DataFrame, gold: Gold) -> str | None:
    """The name of the judge that is right most often, where a pair it says nothing about counts one half.

    It is chosen by the gold that it is then held against, so it flatters: nobody knows beforehand which it is.
    """
    credits = pair_credit(gold.pairs, judges.select(_COLUMNS))
    gain = credits.group_by("subject").agg(pl.col("credit").sub(0.5).sum())
    names = gain.sort(["credit", "subject"], descending=[True, False])["subject"]
    return None if names.is_empty() else str(names[0])


def renamed(predictions: pl.DataFrame, subject: str) -> pl.DataFrame:
    return predictions.select(_COLUMNS).with_columns(subject=pl.lit(subject))


def _scores(
    predictions: pl.DataFrame, placed: pl.DataFrame, gold: Gold, prompts: list[str], resamples: int
) -> list[Score]:
    credits = pair_credit(gold.pairs, predictions)
    decided = int((gold.pairs["gold"] != 0).sum())
    accuracy = estimates(credits, prompts, PAIRS, resamples=resamples)
    coverage = [
        Score(each.subject, COVERAGE, MeanEstimate(each.estimate.n / decided, None, None, decided))
        for each in accuracy
    ]
    best = estimates(best_credit(gold.responses, placed), prompts, BEST, resamples=resamples)
    return accuracy + best + coverage
