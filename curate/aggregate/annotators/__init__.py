"""Annotator models: from votes to a posterior per pair and what was learnt about each annotator.

One model a file; each has `fit(votes, *, labels=None, options=None) -> AnnotatorFit`. `fit_model` finds it by
name and imports it then, so that the numerical stack is loaded only where it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from curate.core.errors import CurateError

if TYPE_CHECKING:
    from curate.aggregate.annotators.pairs import PairLabels
    from curate.aggregate.annotators.result import AnnotatorFit
    from curate.aggregate.votes import Votes

MODELS = ("panel", "majority", "one_coin", "two_coin", "glad", "crowd_bt", "davidson", "rao_kupper")


def fit_model(
    name: str, votes: Votes, *, labels: PairLabels | None = None, options: Any = None
) -> AnnotatorFit:
    """Fit the model called `name`, one of `MODELS`; `options` is that model's own options class.

    Raises CurateError when there is no such model.
    """
    if name not in MODELS:
        raise CurateError(f"There is no annotator model '{name}': choose one of {', '.join(MODELS)}.")
    module = import_module(f"curate.aggregate.annotators.{name}")
    fitted: AnnotatorFit = module.fit(votes, labels=labels, options=options)
    return fitted
