"""The library of measurable features: one family of parts, to which users add their own."""

from curate.data.features import content, fit, length, structure, style
from curate.data.features.base import FEATURES, SURFACE, Family, Feature, FeatureItem, TextView, add_feature
from curate.data.features.length import LENGTH

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
