"""The format `judge-sft-pointwise`: ratings of single responses, to train a judge that rates.

Columns as docs/source/dataset_formats.md ("prompt-completion", conversational) has them at huggingface/trl f2cd577.
"""

from __future__ import annotations

from curate.export.formats.judge_ratings import JudgeRatingRow, JudgeRatings


class JudgeSftPointwiseRow(JudgeRatingRow):
    """A rating. The completion ends with the likeliest rating; `score` is the expectation over all of them."""

    score: float


class JudgeSftPointwise(JudgeRatings):
    """Questions to judges about one response, with what they thought of it and their rating."""

    form = "pointwise"
    Row = JudgeSftPointwiseRow
    title = "Ratings by judges"
