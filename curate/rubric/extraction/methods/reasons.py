"""Binary principles from critiques and people's reasons (RLBFF).

Of each pair with reasons the model states the principles that they appeal to, each with the response for which it holds
(RLBFF, arXiv 2509.21319). What holds for the worse response more often speaks against a response.
"""

from __future__ import annotations

from curate.engine.base import Failure
from curate.engine.json_answer import build_object_schema
from curate.rubric.extraction.base import (
    ExtractionContext,
    ExtractionMethod,
    describe_reasons,
)
from curate.rubric.extraction.calls import Call
from curate.rubric.extraction.proposals import Proposal

_MOST_REASONS = 8
_HOLDS = {"better": 1, "worse": -1, "both": 0, "neither": 0}


class Reasons(ExtractionMethod):
    """Principles that reasons appeal to."""

    needs_reasons = True

    def propose(self, context: ExtractionContext) -> list[Proposal]:
        pairs = [pair for pair in context.pairs if pair.reasons]
        holds = {"type": "string", "enum": list(_HOLDS)}
        item = build_object_schema({"sentence": context.sentence_schema, "holds_for": holds})
        schema = build_object_schema({"principles": {"type": "array", "items": item, "maxItems": 4}})
        answers = context.caller.ask(
            [
                Call(
                    step="reasons",
                    values={
                        "request": pair.request,
                        "better": pair.better,
                        "worse": pair.worse,
                        "reasons": describe_reasons(pair.reasons[:_MOST_REASONS]),
                    },
                    prompt_ids=(pair.prompt_id,),
                    schema=schema,
                )
                for pair in pairs
            ]
        )
        return [
            Proposal(
                principle["sentence"],
                "principle",
                "reasons",
                (pair.prompt_id,),
                _HOLDS[principle["holds_for"]],
            )
            for pair, answer in zip(pairs, answers, strict=True)
            if not isinstance(answer, Failure)
            for principle in answer["principles"]
        ]
