"""Contrastive generation: criteria that tell a prompt's better responses from its worse ones (OpenRubrics).

The model sees the responses of a prompt from best to worst, and writes hard rules (what the prompt demands) and
principles (qualities). Then it judges the prompt's pairs by these criteria without the labels; where it is right on no
more than `consistency` of them, the criteria do not explain the labels and are left out (OpenRubrics,
arXiv 2510.07743).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from curate.engine.base import Failure
from curate.rubric.extraction.base import (
    ExtractionContext,
    ExtractionMethod,
    describe_reasons,
)
from curate.rubric.extraction.calls import Call
from curate.rubric.extraction.evaluation import predict_pairs
from curate.rubric.extraction.pairs import PromptCase
from curate.rubric.extraction.proposals import Proposal

_MOST_RESPONSES = 4
_MOST_REASONS = 6
_KINDS: dict[str, Literal["hard", "principle"]] = {"hard_rules": "hard", "principles": "principle"}


class Contrastive(ExtractionMethod):
    """Hard rules and principles from responses in their order."""

    def propose(self, context: ExtractionContext) -> list[Proposal]:
        cases = context.cases
        schema = context.make_sentences_schema(hard_rules=3, principles=5)
        answers = context.caller.ask([_build_call(case, schema) for case in cases])
        proposed = {
            number: [
                Proposal(text, kind, "contrastive", (cases[number].prompt_id,))
                for name, kind in _KINDS.items()
                for text in answer[name]
            ]
            for number, answer in enumerate(answers)
            if not isinstance(answer, Failure)
        }
        if context.section.consistency > 0:
            proposed = _keep_consistent(context, proposed)
        return [proposal for own in proposed.values() for proposal in own]


def _build_call(case: PromptCase, schema: Mapping[str, Any]) -> Call:
    return Call(
        step="contrastive",
        values={
            "request": case.request,
            "responses": case.rank_responses(_MOST_RESPONSES),
            "reasons": describe_reasons(case.reasons[:_MOST_REASONS]),
        },
        prompt_ids=(case.prompt_id,),
        schema=schema,
    )


def _keep_consistent(
    context: ExtractionContext, proposed: dict[int, list[Proposal]]
) -> dict[int, list[Proposal]]:
    """Keep the criteria of prompts whose pairs they predict; the others are counted."""
    asked = [
        (number, pair, [proposal.text for proposal in own])
        for number, own in proposed.items()
        if own
        for pair in context.cases[number].pairs
    ]
    predicted = predict_pairs(
        context.caller, [pair for _, pair, _ in asked], [sentences for *_, sentences in asked]
    )
    right: dict[int, list[bool]] = {}
    for (number, *_), p in zip(asked, predicted, strict=True):
        right.setdefault(number, []).append(p is not None and p > 0.5)
    kept = {}
    for number, own in proposed.items():
        verdicts = right.get(number, [])
        if verdicts and sum(verdicts) / len(verdicts) > context.section.consistency:
            kept[number] = own
        elif own:
            context.dropped["inconsistent with the labels"] += len(own)
    return kept
