"""The forms in which people are asked: the one list that records, options and commands share."""

from __future__ import annotations

from typing import Literal

_OF_FILTER = "filter "

AskedAs = Literal["pairwise", "ranking", "pass-fail", "rubric", "critique"]


def name_filter_aspect(name: str) -> str:
    """Return the aspect in which people are asked whether a response may stay that the filter `name` has found."""
    return _OF_FILTER + name


def get_filter_name(aspect: str | None) -> str | None:
    """Return the name of the filter that an aspect is about; None where it is an aspect of quality, or none."""
    if aspect is None or not aspect.startswith(_OF_FILTER):
        return None
    return aspect.removeprefix(_OF_FILTER)
