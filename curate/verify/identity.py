"""The identity of a question to people."""

from __future__ import annotations

from collections.abc import Sequence

from curate.core.identity import content_id


def compute_task_id(prompt: str, form: str, responses: Sequence[str], purpose: str) -> str:
    """`responses`: in canonical order, but as shown for a listwise question. The reason for asking is no part of it."""
    return content_id(prompt, form, list(responses), purpose)
