"""Methods of extraction, by the names that `rubric.extract.methods` takes."""

from __future__ import annotations

from curate.core.registry import Registry
from curate.rubric.extraction.base import ExtractionMethod

EXTRACTION_METHODS: Registry[ExtractionMethod] = Registry(
    "rubric_method",
    ExtractionMethod,  # type: ignore[type-abstract]
    noun="method of extraction",
    builtin={
        "contrastive": "curate.rubric.extraction.methods.contrastive:Contrastive",
        "traces": "curate.rubric.extraction.methods.traces:Traces",
        "reasons": "curate.rubric.extraction.methods.reasons:Reasons",
        "revise": "curate.rubric.extraction.methods.revise:Revise",
        "hypotheses": "curate.rubric.extraction.methods.hypotheses:Hypotheses",
    },
)
