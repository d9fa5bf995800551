"""Scores of the lake's annotators, labels and baselines on the gold of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    """Read what the lake's annotators and labels predict for the pairs of the gold, and add the baselines."""
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
    """Score annotators by name, then the best judge, their majority, the label sets and the baselines.

    The label sets are the panel's, the panel's with the trained model, and the scaled-out ones. In the majority every
    judge has one vote on a pair, from both orders together.

    Args:
        panel: Predictions for the pairs of the gold.
        gold: The gold.
        trained: Name of the trained reward model, which is no judge of the majority.
        resamples: Bootstrap resamples of the prompts; 0: no intervals.
    """
    judges = select_judges(panel, trained)
    everyone, labels = panel.annotators.select(_COLUMNS), panel.labels.select(_COLUMNS)
    best = [judges.filter(pl.col("subject") == name) for name in [find_best_judge(judges, gold)] if name]
    voters = [everyone, *(rename_subject(votes, "best judge") for votes in best), vote_majority(judges)]
    ranked = [(predictions, compute_win_rates(predictions)) for predictions in (*voters, panel.baselines)]
    ranked.insert(len(voters), (labels, panel.rankings))

    prompts = gold.pairs["prompt_id"].unique().sort().to_list()
    scores = [
        score
        for predictions, rankings in ranked
        for score in _score_predictions(predictions, rankings, gold, prompts, resamples)
    ]
    accepted = credit_pairs(gold.pairs, panel.labels.filter("accepted").select(_COLUMNS))
    exported = estimate_scores(accepted, prompts, PAIRS, resamples=resamples)
    return scores + [replace(score, subset="accepted") for score in exported]


def select_judges(panel: PanelPredictions, trained: str | None) -> pl.DataFrame:
    """Select all annotators but people and the trained reward model, which learnt from the judges' labels."""
    return panel.annotators.filter(pl.col("kind") != "human", pl.col("subject") != (trained or ""))


def vote_majority(judges: pl.DataFrame) -> pl.DataFrame:
    """Return for each pair the side that more judges are on; ½ where both sides have as many."""
    balance = (pl.col("p") - 0.5).round(9).sign().sum()
    by_pair = judges.group_by("prompt_id", "a", "b", maintain_order=True)
    pairs = by_pair.agg(p=0.5 + 0.5 * balance.sign(), subject=pl.lit("majority"))
    return pairs.select(_COLUMNS)


def find_best_judge(judges: pl.DataFrame, gold: GoldPairs) -> str | None:
    """Find the judge that is right most often; a pair without a vote of the judge counts one half.

    The judge is chosen by the gold that it is then scored on, so its score is an upper bound: without gold, nobody
    knows which judge is best.
    """
    credits = credit_pairs(gold.pairs, judges.select(_COLUMNS))
    gain = credits.group_by("subject").agg(pl.col("credit").sub(0.5).sum())
    names = gain.sort(["credit", "subject"], descending=[True, False])["subject"]
    return None if names.is_empty() else str(names[0])


def rename_subject(predictions: pl.DataFrame, subject: str) -> pl.DataFrame:
    """Return the predictions under another subject's name."""
    return predictions.select(_COLUMNS).with_columns(subject=pl.lit(subject))


def _score_predictions(
    predictions: pl.DataFrame, rankings: pl.DataFrame, gold: GoldPairs, prompts: list[str], resamples: int
) -> list[MetricScore]:
    credits = credit_pairs(gold.pairs, predictions)
    decided = int((gold.pairs["gold"] != 0).sum())
    accuracy = estimate_scores(credits, prompts, PAIRS, resamples=resamples)
    coverage = [
        MetricScore(score.subject, COVERAGE, MeanEstimate(score.estimate.n / decided, None, None, decided))
        for score in accuracy
    ]
    best = estimate_scores(credit_best(gold.responses, rankings), prompts, BEST, resamples=resamples)
    return accuracy + best + coverage
