"""The library of measurable features: one family of parts, to which users add their own."""

from curate.rubric.features import content, fit, length, structure, style
from curate.rubric.features.base import FEATURES, SURFACE, Family, Feature, FeatureItem, TextView, add_feature
from curate.rubric.features.length import LENGTH

__all__ = [
    "FEATURES",
    "LENGTH",
    "SURFACE",
    "Family",
    "Feature",
    "FeatureItem",
    "TextView",
    "add_feature",
    "content",
    "fit",
    "length",
    "structure",
    "style",
]
