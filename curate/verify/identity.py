"""The id of a question to people."""

from __future__ import annotations

from collections.abc import Sequence

from curate.core.identity import content_id


def compute_task_id(prompt: str, form: str, responses: Sequence[str], purpose: str) -> str:
    """Compute the id of a question; the strategy that chose it is no part of the id.

    Args:
        prompt: Id of the prompt.
        form: pairwise, pointwise or listwise.
        responses: Ids in canonical order, or as shown for a listwise question.
        purpose: label, gold, repeat or adjudicate.
    """
    return content_id(prompt, form, list(responses), purpose)
