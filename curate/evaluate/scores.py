"""Lines of the score table, and how they are computed from predictions.

Accuracy is over the pairs on which the gold decides and the subject has a verdict: an abstention or a failed answer is
neither right nor wrong, and `coverage` is the share of pairs that are left. A predicted tie counts one half. Best-of-N
is the share of the subject's top-ranked responses that are among the gold's best, over prompts where the subject ranks
every response; so a tie at the top earns what a random choice from it would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from curate.records import Evaluation, arrow_schema
from curate.stats.accuracy import MeanEstimate, estimate_means

PAIRS, BEST, COVERAGE = "accuracy", "best-of-n", "coverage"
_PAIR = ("prompt_id", "a", "b")


@dataclass(frozen=True, slots=True)
class MetricScore:
    """A line of the score table."""

    subject: str
    metric: str
    estimate: MeanEstimate
    subset: str = "all"


def credit_pairs(gold: pl.DataFrame, predictions: pl.DataFrame) -> pl.DataFrame:
    """Credit predictions: subject, prompt_id, credit (1 right, 0 wrong, ½ a predicted tie).

    `gold`: prompt_id, a, b, gold; `predictions`: subject, prompt_id, a, b, p (probability that a is better).
    """
    margin = (pl.col("p") - 0.5).round(9).sign()
    return (
        predictions.join(gold.filter(pl.col("gold") != 0).select(*_PAIR, "gold"), on=_PAIR)
        .with_columns(credit=0.5 + 0.5 * margin * pl.col("gold"))
        .select("subject", "prompt_id", "credit")
    )


def compute_win_rates(predictions: pl.DataFrame) -> pl.DataFrame:
    """Compute subject, prompt_id, response_id, score: a response's mean probability to beat another (Borda)."""
    sides = [
        predictions.select("subject", "prompt_id", response_id=pl.col(side), score=probability)
        for side, probability in (("a", pl.col("p")), ("b", 1.0 - pl.col("p")))
    ]
    return pl.concat(sides).group_by("subject", "prompt_id", "response_id").agg(pl.col("score").mean())


def credit_best(best: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """Credit best-of-N: subject, prompt_id, credit (share of the top-scored responses that the gold calls best).

    `best`: prompt_id, response_id, best; `scores`: subject, prompt_id, response_id, score.
    """
    ranked = best.with_columns(size=pl.len().over("prompt_id")).join(scores, on=["prompt_id", "response_id"])
    keys = ["subject", "prompt_id"]
    whole = ranked.filter(pl.len().over(keys) == pl.col("size"))
    top = whole.filter(pl.col("score").round(9) == pl.col("score").round(9).max().over(keys))
    return top.group_by(keys).agg(credit=pl.col("best").mean())


def estimate_scores(
    credits: pl.DataFrame, prompts: Sequence[str], metric: str, *, resamples: int
) -> list[MetricScore]:
    """Estimate the mean credit of each subject with an interval, all on the same resamples of the prompts.

    Args:
        credits: Columns subject, prompt_id, credit.
        prompts: All prompts of the gold, which are resampled.
        metric: Name of the score.
        resamples: Bootstrap resamples; 0: no intervals.
    """
    if credits.is_empty():
        return []
    subjects = credits["subject"].unique().sort().to_list()
    row_of = {prompt: row for row, prompt in enumerate(prompts)}
    column_of = {subject: number for number, subject in enumerate(subjects)}
    sums, sizes = np.zeros((2, len(prompts), len(subjects)))
    grouped = credits.group_by("subject", "prompt_id").agg(pl.col("credit").sum(), pl.len().alias("size"))
    rows = np.array([row_of[prompt] for prompt in grouped["prompt_id"]])
    columns = np.array([column_of[subject] for subject in grouped["subject"]])
    sums[rows, columns], sizes[rows, columns] = grouped["credit"].to_numpy(), grouped["size"].to_numpy()
    means = estimate_means(sums, sizes, resamples=resamples)
    return [MetricScore(subject, metric, mean) for subject, mean in zip(subjects, means, strict=True)]


def build_evaluation_rows(scores: Sequence[MetricScore], benchmark: str, run_id: str) -> pa.Table:
    """Build rows of the table `evaluations`.

    Args:
        scores: Lines of the score table.
        benchmark: Name of the benchmark.
        run_id: Id of the run that computed them.
    """
    rows = [
        Evaluation(
            subject=score.subject,
            benchmark=benchmark,
            subset=score.subset,
            metric=score.metric,
            value=score.estimate.value,
            low=score.estimate.low,
            high=score.estimate.high,
            n=score.estimate.n,
            run_id=run_id,
        )
        for score in scores
    ]
    return pa.Table.from_pylist([row.model_dump() for row in rows], schema=arrow_schema(Evaluation))
