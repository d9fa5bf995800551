"""What everyone in the lake says about the pairs of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from curate.core.resources import read_query
from curate.evaluate.gold import GoldPairs
from curate.evaluate.scores import (
    BEST,
    COVERAGE,
    PAIRS,
    MetricScore,
    compute_win_rates,
    credit_best,
    credit_pairs,
    estimate_scores,
)
from curate.lake.lake import Lake
from curate.stats.accuracy import LENGTH, RANDOM, MeanEstimate

_COLUMNS = ("subject", "prompt_id", "a", "b", "p")


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelPredictions:
    """Predictions (subject, prompt_id, a, b, p) of annotators, labels and baselines on all pairs of the gold.

    `annotators` also has `kind`, `labels` also has `accepted`; `rankings`: subject, prompt_id, response_id, score.
    """

    annotators: pl.DataFrame
    labels: pl.DataFrame
    rankings: pl.DataFrame
    baselines: pl.DataFrame


def read_panel(lake: Lake, gold: GoldPairs) -> PanelPredictions:
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
    return PanelPredictions(
        annotators=annotators, labels=labels, rankings=rankings, baselines=pl.concat(baselines)
    )


def score_panel(
    panel: PanelPredictions, gold: GoldPairs, *, trained: str | None, resamples: int
) -> list[MetricScore]:
    """All scores: annotators by name, then best judge, majority, labels per iteration, baselines.

    Majority: one vote for each judge and pair, whatever it said most (both orders together).
    """
    judges = select_judges(panel, trained)
    everyone, labels = panel.annotators.select(_COLUMNS), panel.labels.select(_COLUMNS)
    best = [judges.filter(pl.col("subject") == name) for name in [find_best_judge(judges, gold)] if name]
    voted = [everyone, *(rename_subject(each, "best judge") for each in best), vote_majority(judges)]
    ranked = [(each, compute_win_rates(each)) for each in (*voted, panel.baselines)]
    ranked.insert(len(voted), (labels, panel.rankings))

    prompts = gold.pairs["prompt_id"].unique().sort().to_list()
    scores = [
        score
        for predictions, placed in ranked
        for score in _score_predictions(predictions, placed, gold, prompts, resamples)
    ]
    accepted = credit_pairs(gold.pairs, panel.labels.filter("accepted").select(_COLUMNS))
    exported = estimate_scores(accepted, prompts, PAIRS, resamples=resamples)
    return scores + [MetricScore(each.subject, each.metric, each.estimate, "accepted") for each in exported]


def select_judges(panel: PanelPredictions, trained: str | None) -> pl.DataFrame:
    """All annotators but people and `trained`, the reward model that learnt from the judges' own labels."""
    return panel.annotators.filter(pl.col("kind") != "human", pl.col("subject") != (trained or ""))


def vote_majority(judges: pl.DataFrame) -> pl.DataFrame:
    """The side that more judges are on; ½ where as many are on either."""
    balance = (pl.col("p") - 0.5).round(9).sign().sum()
    by_pair = judges.group_by("prompt_id", "a", "b", maintain_order=True)
    pairs = by_pair.agg(p=0.5 + 0.5 * balance.sign(), subject=pl.lit("majority"))
    return pairs.select(_COLUMNS)


def find_best_judge(judges: pl.DataFrame, gold: GoldPairs) -> str | None:
    """The name of the judge that is right most often, where a pair it says nothing about counts one half.

    It is chosen by the gold that it is then held against, so it flatters: nobody knows beforehand which it is.
    """
    credits = credit_pairs(gold.pairs, judges.select(_COLUMNS))
    gain = credits.group_by("subject").agg(pl.col("credit").sub(0.5).sum())
    names = gain.sort(["credit", "subject"], descending=[True, False])["subject"]
    return None if names.is_empty() else str(names[0])


def rename_subject(predictions: pl.DataFrame, subject: str) -> pl.DataFrame:
    return predictions.select(_COLUMNS).with_columns(subject=pl.lit(subject))


def _score_predictions(
    predictions: pl.DataFrame, placed: pl.DataFrame, gold: GoldPairs, prompts: list[str], resamples: int
) -> list[MetricScore]:
    credits = credit_pairs(gold.pairs, predictions)
    decided = int((gold.pairs["gold"] != 0).sum())
    accuracy = estimate_scores(credits, prompts, PAIRS, resamples=resamples)
    coverage = [
        MetricScore(each.subject, COVERAGE, MeanEstimate(each.estimate.n / decided, None, None, decided))
        for each in accuracy
    ]
    best = estimate_scores(credit_best(gold.responses, placed), prompts, BEST, resamples=resamples)
    return accuracy + best + coverage
