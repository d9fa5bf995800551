"""curate: preference data with a known error rate, and a reward model trained on it.

    import curate

    labels = curate.aggregate_votes(votes)  # columns prompt, a, b, annotator, winner
    labels = curate.label_responses(responses, judges=[{"name": "length", "kind": "rule", "rule": "length"}])
    scores = curate.score_responses("models/reward", rows)  # columns prompt, response
    curate.open_lake("project").frame("SELECT * FROM final_preferences")

Nothing heavy is imported before one of these names is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.core.errors import CurateError
    from curate.pipeline.labels import (
        GuaranteeReport,
        Labels,
        LakeReader,
        aggregate_votes,
        judge_responses,
        label_responses,
        open_lake,
    )
    from curate.pipeline.scoring import score_responses

__version__ = "0.1.0"

__all__ = [
    "CurateError",
    "GuaranteeReport",
    "Labels",
    "LakeReader",
    "aggregate_votes",
    "judge_responses",
    "label_responses",
    "open_lake",
    "score_responses",
]

_LABELS = "curate.pipeline.labels"
_HOMES = {
    "CurateError": "curate.core.errors",
    "score_responses": "curate.pipeline.scoring",
} | dict.fromkeys(
    (
        "GuaranteeReport",
        "LakeReader",
        "Labels",
        "aggregate_votes",
        "judge_responses",
        "label_responses",
        "open_lake",
    ),
    _LABELS,
)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'curate' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
