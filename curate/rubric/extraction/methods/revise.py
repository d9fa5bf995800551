"""Propose, evaluate, revise: criteria for each pair until the model, led by them, predicts its label (Auto-Rubric).

What does not predict the label of its own pair in `rounds` attempts is left out, and counted (Auto-Rubric, arXiv
2510.17314).
"""

from __future__ import annotations

from curate.engine.base import Failure
from curate.rubric.extraction.base import (
    ExtractionContext,
    ExtractionMethod,
    describe_reasons,
)
from curate.rubric.extraction.calls import Call
from curate.rubric.extraction.evaluation import predict_pairs
from curate.rubric.extraction.pairs import LabelledPair
from curate.rubric.extraction.proposals import Proposal

_MOST_REASONS = 4


class Revise(ExtractionMethod):
    """Criteria that predict the label of the pair that they were written for."""

    def propose(self, context: ExtractionContext) -> list[Proposal]:
        predictive: dict[str, list[str]] = {}
        tried: dict[str, list[str]] = {}
        pending = list(context.pairs)
        for _ in range(context.section.rounds):
            if not pending:
                break
            calls = [_build_call(context, pair, tried.get(pair.pair_id)) for pair in pending]
            written = [
                (pair, answer["criteria"])
                for pair, answer in zip(pending, context.caller.ask(calls), strict=True)
                if not isinstance(answer, Failure) and answer["criteria"]
            ]
            predicted = predict_pairs(
                context.caller, [pair for pair, _ in written], [criteria for _, criteria in written]
            )
            pending = []
            for (pair, criteria), p in zip(written, predicted, strict=True):
                if p is not None and p > 0.5:
                    predictive[pair.pair_id] = criteria
                elif p is not None and criteria != tried.get(pair.pair_id):
                    tried[pair.pair_id] = criteria
                    pending.append(pair)
        lost = [criteria for pair_id, criteria in tried.items() if pair_id not in predictive]
        context.dropped["predicts no label of its own pair"] += sum(map(len, lost))
        context.notes["revise"] = {"pairs": len(context.pairs), "predicted": len(predictive)}
        prompts = {pair.pair_id: pair.prompt_id for pair in context.pairs}
        return [
            Proposal(text, "principle", "revise", (prompts[pair_id],))
            for pair_id, criteria in predictive.items()
            for text in criteria
        ]


def _build_call(context: ExtractionContext, pair: LabelledPair, tried: list[str] | None) -> Call:
    return Call(
        step="propose",
        values={
            "request": pair.request,
            "better": pair.better,
            "worse": pair.worse,
            "reasons": describe_reasons(pair.reasons[:_MOST_REASONS]),
            "tried": tried or [],
        },
        prompt_ids=(pair.prompt_id,),
        schema=context.make_sentences_schema(criteria=3),
    )
