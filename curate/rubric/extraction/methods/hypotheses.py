"""Hypotheses for what the criteria so far do not explain: pairs on which they mislead are shown together.

In each round the pairs are judged by the criteria, without labels. Those that come out wrong are shown to the model,
some at a time, and it writes what the better responses have in common. A round whose hypotheses explain no more pairs
than before is left out, and is the last.
"""

from __future__ import annotations

from collections.abc import Sequence

from curate.engine.base import Failure
from curate.rubric.extraction.base import ExtractionContext, ExtractionMethod
from curate.rubric.extraction.calls import Call
from curate.rubric.extraction.evaluation import predict_pairs
from curate.rubric.extraction.pairs import LabelledPair
from curate.rubric.extraction.proposals import Proposal, clean_proposals, merge_proposals

_TOGETHER = 3  # pairs of one call


class Hypotheses(ExtractionMethod):
    """Hypotheses for the pairs that the criteria so far do not explain."""

    of_dataset = True

    def propose(self, context: ExtractionContext) -> list[Proposal]:
        current = list(context.earlier)[: context.section.criteria]
        unexplained = _list_unexplained(context, current)
        explained = [len(context.pairs) - len(unexplained)]
        accepted: list[Proposal] = []
        for _ in range(context.section.rounds):
            if not unexplained:
                break
            proposed = clean_proposals(
                _ask(context, unexplained, current), context.dropped, longest=context.section.longest
            )
            fresh = merge_proposals(proposed)[: context.section.criteria]
            if not fresh:
                break
            remaining = _list_unexplained(context, [*current, *fresh])
            explained.append(len(context.pairs) - len(remaining))
            if len(remaining) >= len(unexplained):
                context.dropped["explains no more pairs"] += len(fresh)
                break
            accepted += fresh
            current, unexplained = [*current, *fresh], remaining
        context.notes["hypotheses"] = {"pairs": len(context.pairs), "explained": explained}
        return accepted


def _list_unexplained(context: ExtractionContext, criteria: Sequence[Proposal]) -> list[LabelledPair]:
    """Return the pairs that the model gets wrong, or cannot tell, by the criteria; all, where there are none."""
    if not criteria:
        return list(context.pairs)
    sentences = [proposal.text for proposal in criteria]
    predicted = predict_pairs(context.caller, context.pairs, [sentences] * len(context.pairs))
    return [pair for pair, p in zip(context.pairs, predicted, strict=True) if p is None or p <= 0.5]


def _ask(
    context: ExtractionContext, pairs: Sequence[LabelledPair], current: Sequence[Proposal]
) -> list[Proposal]:
    groups = [pairs[start : start + _TOGETHER] for start in range(0, len(pairs), _TOGETHER)]
    answers = context.caller.ask(
        [
            Call(
                step="hypotheses",
                values={
                    "pairs": [
                        {"request": pair.request, "better": pair.better, "worse": pair.worse}
                        for pair in group
                    ],
                    "criteria": [proposal.text for proposal in current],
                },
                prompt_ids=tuple(dict.fromkeys(pair.prompt_id for pair in group)),
                schema=context.make_sentences_schema(hypotheses=4),
            )
            for group in groups
        ]
    )
    return [
        Proposal(text, "principle", "hypotheses", tuple(dict.fromkeys(pair.prompt_id for pair in group)))
        for group, answer in zip(groups, answers, strict=True)
        if not isinstance(answer, Failure)
        for text in answer["hypotheses"]
    ]
