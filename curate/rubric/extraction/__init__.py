"""Criteria written by a language model that reads labelled pairs and the reasons for them."""

from curate.rubric.extraction.base import ExtractionContext, ExtractionMethod
from curate.rubric.extraction.labels import Labels, read_labels
from curate.rubric.extraction.pairs import LabelledPair, PromptCase, Reason
from curate.rubric.extraction.proposals import Proposal
from curate.rubric.extraction.stage import ExtractionResult, extract_rubrics

__all__ = [
    "ExtractionContext",
    "ExtractionMethod",
    "ExtractionResult",
    "LabelledPair",
    "Labels",
    "PromptCase",
    "Proposal",
    "Reason",
    "extract_rubrics",
    "read_labels",
]
