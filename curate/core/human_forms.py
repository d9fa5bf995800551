"""The forms in which people are asked: the one list that records, options and commands share."""

from __future__ import annotations

from typing import Literal

FILTER_ASPECT = "filter "
"""Before the name of a filter: what people are asked about is whether a response that it found may stay."""

AskedAs = Literal["pairwise", "ranking", "pass-fail", "rubric", "critique"]
