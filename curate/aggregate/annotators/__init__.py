"""Annotator models: from votes to a posterior per pair and an estimate of each annotator. One model a file.

`aggregate.annotator_model` of curate.yaml names one. A model of one's own is a class derived from `AnnotatorModel`,
named as `./mine.py:Mine`; see `examples/own_parts/annotator_model.py`. A model is imported when it is asked for, so
that the numerical stack is loaded only where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.aggregate.annotators.base import AnnotatorModel
from curate.config.validation import validate_options
from curate.core.registry import Registry
from curate.core.section import Section

if TYPE_CHECKING:
    from curate.aggregate.annotators.pairs import PairLabels
    from curate.aggregate.annotators.result import AnnotatorFit
    from curate.aggregate.votes import Votes

ANNOTATOR_MODELS: Registry[AnnotatorModel] = Registry(
    "annotator_model",
    AnnotatorModel,  # type: ignore[type-abstract]
    builtin={
        "panel": "curate.aggregate.annotators.panel:Panel",
        "majority": "curate.aggregate.annotators.majority:Majority",
        "one_coin": "curate.aggregate.annotators.one_coin:OneCoin",
        "two_coin": "curate.aggregate.annotators.two_coin:TwoCoin",
        "glad": "curate.aggregate.annotators.glad:Glad",
        "crowd_bt": "curate.aggregate.annotators.crowd_bt:CrowdBT",
        "davidson": "curate.aggregate.annotators.davidson:Davidson",
        "rao_kupper": "curate.aggregate.annotators.rao_kupper:RaoKupper",
    },
)


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """An annotator model with its options; `code` is a digest of a user's own file, "" for a model of the package."""

    name: str
    model: AnnotatorModel
    code: str = ""


def open_annotator_model(
    name: str,
    options: Section | Mapping[str, Any] | None = None,
    *,
    where: str = "aggregate.annotator_model",
    folder: Path = Path(),
) -> OpenedModel:
    """Open an annotator model by its name.

    Args:
        name: A name of `ANNOTATOR_MODELS`, an entry point, `module:Class` or `./file.py:Class`.
        options: Values of the model's `Options`, or these options themselves.
        where: Key of curate.yaml that names the model, for error messages.
        folder: Folder of curate.yaml, where relative files start.

    Raises:
        CurateError: There is no such model, or it has no such option.
    """
    part = ANNOTATOR_MODELS.find(name, where=where, folder=folder)
    if not isinstance(options, Section):
        options = validate_options(part.type.Options, options or {}, where=where)
    return OpenedModel(name, part.type(options), part.code)


def fit_model(
    name: str,
    votes: Votes,
    *,
    labels: PairLabels | None = None,
    options: Section | Mapping[str, Any] | None = None,
) -> AnnotatorFit:
    """Fit the annotator model called `name`.

    Args:
        name: As in `aggregate.annotator_model`, but not `auto`.
        votes: The votes of judges and people.
        labels: More labels of people, given as pairs.
        options: Values of the model's `Options`, or these options themselves.

    Returns:
        The posterior of every pair and the estimates of every annotator.

    Raises:
        CurateError: There is no such model, or it has no such option.
    """
    return open_annotator_model(name, options).model.fit(votes, labels=labels)
