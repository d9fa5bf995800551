"""Rules from reasoning traces: the model reasons why a response won; rules are extracted, then merged (AutoRule).

Three steps: a trace for each pair, the rules that it states, and one call (for each 40 rules) that merges those that
say the same (arXiv 2506.15651). Where a merge fails, its rules stay as they are.
"""

from __future__ import annotations

from curate.engine.base import Failure
from curate.rubric.extraction.base import (
    ExtractionContext,
    ExtractionMethod,
    describe_reasons,
)
from curate.rubric.extraction.calls import Call
from curate.rubric.extraction.proposals import Proposal, clean_proposals, count_support, merge_proposals

_MOST_REASONS = 4
_GROUP = 40  # rules of a merging call


class Traces(ExtractionMethod):
    """Rules that a reasoning model states, merged."""

    def propose(self, context: ExtractionContext) -> list[Proposal]:
        traces = context.caller.ask(
            [
                Call(
                    step="trace",
                    values={
                        "request": pair.request,
                        "first": pair.shown[0],
                        "second": pair.shown[1],
                        "winner": "A" if pair.is_better_first else "B",
                        "reasons": describe_reasons(pair.reasons[:_MOST_REASONS]),
                    },
                    prompt_ids=(pair.prompt_id,),
                )
                for pair in context.pairs
            ]
        )
        reasoned = [
            (pair, trace)
            for pair, trace in zip(context.pairs, traces, strict=True)
            if not isinstance(trace, Failure)
        ]
        answers = context.caller.ask(
            [
                Call(
                    step="rules",
                    values={"trace": trace},
                    prompt_ids=(pair.prompt_id,),
                    schema=context.make_sentences_schema(rules=6),
                )
                for pair, trace in reasoned
            ]
        )
        rules = [
            Proposal(text, "principle", "traces", (pair.prompt_id,))
            for (pair, _), answer in zip(reasoned, answers, strict=True)
            if not isinstance(answer, Failure)
            for text in answer["rules"]
        ]
        return _merge_rules(
            context, merge_proposals(clean_proposals(rules, context.dropped, longest=context.section.longest))
        )


def _merge_rules(context: ExtractionContext, rules: list[Proposal]) -> list[Proposal]:
    """Let the model merge rules that say the same; within one prompt, where rubrics are of single prompts."""
    groups: dict[str, list[Proposal]] = {}
    for rule in rules:
        key = rule.prompt_ids[0] if context.section.scope == "prompt" else ""
        groups.setdefault(key, []).append(rule)
    cut = [own[start : start + _GROUP] for own in groups.values() for start in range(0, len(own), _GROUP)]
    wanted = [group for group in cut if len(group) > 1]
    answers = context.caller.ask(
        [
            Call(
                step="merge",
                values={"rules": [rule.text for rule in group]},
                prompt_ids=tuple(dict.fromkeys(prompt for rule in group for prompt in rule.prompt_ids)),
                schema=context.make_sentences_schema(rules=15),
            )
            for group in wanted
        ]
    )
    merged = [rule for group in cut if len(group) == 1 for rule in group]
    for group, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, Failure) or not answer["rules"]:
            merged += group
        else:
            merged += count_support(answer["rules"], group)
    return merged
