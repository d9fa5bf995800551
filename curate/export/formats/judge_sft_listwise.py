"""The format `judge-sft-listwise`: rankings of several responses, to train a judge that ranks.

Columns as docs/source/dataset_formats.md ("prompt-completion", conversational) has them at huggingface/trl f2cd577.
"""

from __future__ import annotations

from curate.export.formats.judge_ratings import JudgeRatings


class JudgeSftListwise(JudgeRatings):
    """Questions to judges about several responses, with the JSON of scores and ranking that they wrote."""

    form = "listwise"
    title = "Rankings by judges"
