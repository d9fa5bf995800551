"""Measure features of the responses of labelled pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curate.core.errors import CurateError
from curate.core.progress import Track, no_progress
from curate.data.features.base import FEATURES, Feature, FeatureItem, TextView
from curate.rubric.labelled import LabelledPairs

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NamedFeature:
    """A feature with the name by which rubrics know it; `code` identifies a user's own code."""

    name: str
    feature: Feature
    code: str = ""


def open_features(
    names: Sequence[str], *, own: Sequence[str] = (), folder: Path = Path()
) -> list[NamedFeature]:
    """Open features by name.

    Args:
        names: Features of the library; none: all of them.
        own: Further ones, as `./mine.py:Mine` or of another package.
        folder: Folder where relative files start.

    Raises:
        CurateError: There is no such feature, or two have one name.
    """
    opened = []
    for name in [*(names or FEATURES.names), *own]:
        part = FEATURES.find(name, where="rubric.features", folder=folder)
        opened.append(NamedFeature(name, part.type(), part.code))
        if not getattr(part.type, "sentence", "") or not getattr(part.type, "more", ""):
            raise CurateError(
                f"The feature {name!r} says neither its `sentence` nor `more`: add both to its class."
            )
    listed = [feature.name for feature in opened]
    if repeats := sorted({name for name in listed if listed.count(name) > 1}):
        raise CurateError(f"The feature {repeats[0]!r} is named twice: leave one of them out.")
    return opened


def measure_features(
    pairs: LabelledPairs, features: Sequence[NamedFeature], *, track: Track = no_progress
) -> Float64:
    """Return float64[R, F]: each feature of each response of a pair; not a number where it cannot be said.

    Raises:
        CurateError: A user's own feature raised an error, or returned what is no number.
    """
    prompts = [TextView(text) for text in pairs.prompts]
    references = [None if text is None else TextView(text) for text in pairs.references]
    values = np.full((len(pairs.responses), len(features)), np.nan)
    used = np.union1d(pairs.chosen, pairs.rejected)
    with track("measure", len(used)) as advance:
        for row in used:
            prompt = pairs.prompt_of[row]
            item = FeatureItem(prompts[prompt], TextView(pairs.responses[row]), references[prompt])
            for column, named in enumerate(features):
                values[row, column] = _measure_one(named, item)
            advance(1)
    return values


def _measure_one(named: NamedFeature, item: FeatureItem) -> float:
    try:
        value = named.feature.measure(item)
        number = np.nan if value is None else float(value)
    except Exception as error:
        if not named.code:
            raise
        problem = f"{type(error).__name__}: {error}"
        raise CurateError(
            f"The feature {named.name} failed on a response that begins {item.response.text[:60]!r}: {problem}."
        ) from error
    if np.isinf(number):
        raise CurateError(f"The feature {named.name} is infinite for a response: return a number or None.")
    return number


def subtract_pairs(pairs: LabelledPairs, values: Float64) -> Float64:
    """Return float64[n, F]: what the chosen response of each pair has more than the rejected one."""
    return np.asarray(values[pairs.chosen] - values[pairs.rejected], np.float64)
