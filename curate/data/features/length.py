"""Length: the plainest of all features, beside which every other one must show what it adds."""

from __future__ import annotations

import math

from curate.data.features.base import FeatureItem, add_feature

LENGTH = "length"


@add_feature(LENGTH, "length", "The response is long.", "is longer", "is shorter", tempts=1)
def measure_length(item: FeatureItem) -> float:
    """Return ln(1 + words); fenced code does not count as words, its lines as one each."""
    code = item.response.text.count("\n") - item.response.prose.count("\n")
    return math.log1p(len(item.response.words) + code)


@add_feature(
    "paragraphs", "format", "The response is in several paragraphs.", "has more paragraphs", "has fewer paragraphs",
    tempts=1,
)  # fmt: skip
def measure_paragraphs(item: FeatureItem) -> float:
    """Return ln(1 + paragraphs), which blank lines part."""
    pieces = item.response.prose.split("\n\n")
    return math.log1p(sum(bool(piece.strip()) for piece in pieces))
