"""The id of a question to people."""

from __future__ import annotations

from collections.abc import Sequence

from curate.core.human_forms import AskedAs
from curate.core.identity import content_id

_IMPLIED: dict[str, AskedAs] = {"pairwise": "pairwise", "listwise": "ranking", "pointwise": "pass-fail"}


def compute_task_id(
    prompt: str,
    form: str,
    responses: Sequence[str],
    purpose: str,
    *,
    asked_as: AskedAs | None = None,
    aspect: str | None = None,
) -> str:
    """Compute the id of a question; the strategy that chose it is no part of the id.

    Args:
        prompt: Id of the prompt.
        form: pairwise, pointwise or listwise.
        responses: Ids in canonical order, or as shown for a listwise question.
        purpose: label, gold, repeat or adjudicate.
        asked_as: Form in which people see it; default: the usual one of `form`.
        aspect: The one criterion that is asked about.
    """
    fields: list[object] = [prompt, form, list(responses), purpose]
    if asked_as not in (None, _IMPLIED.get(form)) or aspect is not None:
        fields += [asked_as, aspect]
    return content_id(*fields)
