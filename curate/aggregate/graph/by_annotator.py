"""One preference graph per prompt and annotator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.aggregate.graph.tally import PairTally, sum_pairs
from curate.aggregate.votes import Float64, Int32, Int64, Votes
from curate.core.kernels import compile_kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorGraphs:
    """Each graph holds what one annotator said about one prompt, over the responses that it judged.

    | field       | type     | meaning |
    | ---         | ---      | --- |
    | `prompt`    | int32[G] | whose responses, ascending |
    | `annotator` | int32[G] | who judged |
    | `pairs`     | tally    | of G "prompts", one per graph, with responses of their own |
    | `response`  | int32[…] | the global index of each response of `pairs` |
    """

    prompt: Int32
    annotator: Int32
    pairs: PairTally
    response: Int32


def annotator_graphs(
    votes: Votes, *, weight: Float64 | None = None, soft: bool = False, threads: int | None = None
) -> AnnotatorGraphs:
    """Split the votes by prompt and annotator; `weight` and `soft` are those of `tally`."""
    weight = np.ones(len(votes.annotators)) if weight is None else np.ascontiguousarray(weight, np.float64)
    prompt, annotator, start, row = _group_slice(votes.prompt, votes.annotator, len(votes.annotators))
    a, b, response, offsets = _renumber_responses(start, row, votes.a, votes.b, votes.offsets, prompt)
    pairs = sum_pairs(
        offsets,
        np.repeat(np.arange(len(prompt), dtype=np.int32), np.diff(start)),
        a,
        b,
        votes.outcome[row],
        votes.p_a[row] if soft else np.empty(0, np.float32),
        votes.annotator[row],
        weight,
        threads=threads,
    )
    return AnnotatorGraphs(prompt=prompt, annotator=annotator, pairs=pairs, response=response)


@compile_kernel
def _group_slice(prompt: Int32, annotator: Int32, annotators: int) -> tuple[Int32, Int32, Int64, Int64]:
    """Prompt and annotator of each group, where its votes start, and the votes by group (stable)."""
    votes = len(prompt)
    group_of = np.full(annotators, -1, np.int64)
    group = np.empty(votes, np.int32)
    owner, judge = np.empty(votes, np.int32), np.empty(votes, np.int32)
    start = np.zeros(votes + 1, np.int64)
    groups, first = 0, 0
    for v in range(votes):
        if v > 0 and prompt[v] != prompt[v - 1]:
            first = groups
        k = annotator[v]
        if group_of[k] < first:
            group_of[k] = groups
            owner[groups], judge[groups] = prompt[v], k
            groups += 1
        group[v] = group_of[k]
        start[group_of[k] + 1] += 1
    for g in range(groups):
        start[g + 1] += start[g]
    place = start.copy()
    row = np.empty(votes, np.int64)
    for v in range(votes):
        row[place[group[v]]] = v
        place[group[v]] += 1
    return owner[:groups].copy(), judge[:groups].copy(), start[: groups + 1].copy(), row


@compile_kernel
def _renumber_responses(
    start: Int64, row: Int64, a: Int32, b: Int32, responses: Int64, prompt: Int32
) -> tuple[Int32, Int32, Int32, Int64]:
    """Indexes of a and b among the responses of their group, which keep their relative order."""
    new_a, new_b = np.empty(len(row), np.int32), np.empty(len(row), np.int32)
    offsets = np.zeros(len(start), np.int64)
    response = np.empty(2 * len(row), np.int32)
    number = np.full(responses[-1], -1, np.int64)
    used = 0
    for g in range(len(start) - 1):
        offsets[g] = used
        for k in range(start[g], start[g + 1]):
            for v in (a[row[k]], b[row[k]]):
                if number[v] < offsets[g]:
                    number[v] = used
                    response[used] = v
                    used += 1
        if responses[prompt[g] + 1] - responses[prompt[g]] <= 8 * (used - offsets[g]):
            used = offsets[g]
            for v in range(responses[prompt[g]], responses[prompt[g] + 1]):
                if number[v] >= offsets[g]:
                    response[used] = v
                    used += 1
        else:  # a few of very many
            for k in range(offsets[g] + 1, used):
                v, place = response[k], k
                while place > offsets[g] and response[place - 1] > v:
                    response[place] = response[place - 1]
                    place -= 1
                response[place] = v
        for k in range(offsets[g], used):
            number[response[k]] = k
        for k in range(start[g], start[g + 1]):
            new_a[k], new_b[k] = number[a[row[k]]], number[b[row[k]]]
    offsets[-1] = used
    return new_a, new_b, response[:used].copy(), offsets
