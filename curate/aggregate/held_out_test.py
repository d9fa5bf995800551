"""The held-out result and its test: on one look at the labels, or at every look, with a memory of the earlier ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.annotator_reliability import estimate_reliability
from curate.aggregate.annotators import OpenedModel
from curate.aggregate.certify import Certification, DrawnLabels, HeldOutResult, certify_labels
from curate.aggregate.graph.tally import PairTally, tally_pairs
from curate.aggregate.guarantee_memory import (
    FEWEST_LEARNT,
    GuaranteeMemory,
    TestedRevision,
    is_due_to_retire,
)
from curate.aggregate.human_votes import People, drop_votes
from curate.aggregate.posterior import (
    Posterior,
    add_verdicts,
    estimate_posterior,
    index_of_pairs,
    order_responses,
    pair_ids,
)
from curate.aggregate.votes import Int8, Int64, Votes
from curate.config.aggregate import AggregateSection, GuaranteeSection

Bool = NDArray[np.bool_]
Strata = Callable[[PairTally], tuple[Int64, tuple[str, ...]]]
FEWEST_TESTED = 10
"""With fewer labels nothing is measured: a model learns more from them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestedPanel:
    """The input of the labels: votes, people's verdicts, and the settings with a model in place of `auto`.

    `model`: the opened annotator model, None: by its name; `barred` int64[C]: pairs that are never accepted.
    """

    __test__ = False  # nothing for pytest

    votes: Votes
    people: People
    section: AggregateSection
    model: OpenedModel | None
    strata: Strata
    barred: Int64


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutTest:
    """The outcome of a test; `held_out`, `posterior` and `certification` are None where there were too few labels.

    `posterior` has people's verdicts put in. `hidden` bool[L]: labels that the held-out result was estimated without.
    `memory`: what to remember for the next look, None without a guarantee at every look.
    """

    hidden: Bool
    held_out: HeldOutResult | None = None
    posterior: Posterior | None = None
    certification: Certification | None = None
    memory: GuaranteeMemory | None = None

    @property
    def holds(self) -> bool:
        return self.certification is not None and self.certification.holds


def run_test_once(panel: TestedPanel, learn: float) -> HeldOutTest:
    """Test on the labels that the model may not learn from; the guarantee holds for one look.

    Args:
        panel: What the labels are estimated from.
        learn: Share of the random labels that the annotator model learns from.
    """
    return _measure(panel, panel.people.select_tested(learn), None)


def run_test_anytime(panel: TestedPanel, memory: GuaranteeMemory, *, learn: float) -> HeldOutTest:
    """Test the current revision of the labels on the labels of people that are new, or begin a new revision.

    Args:
        panel: What the labels are estimated from.
        memory: What earlier looks have left.
        learn: Share of the new labels that a new revision learns from; 0: the model learns nothing from people.
    """
    people = panel.people
    if not len(people):
        return HeldOutTest(hidden=np.zeros(0, np.bool_), memory=memory)
    whole = tally_pairs(panel.votes)
    pairs, strata = pair_ids(whole), panel.strata(whole)
    hidden, changed = memory.find_hidden(people), None
    if memory.labels is not None and memory.identity == memory.scope:
        posterior, held_out = _hold_out(panel, hidden, whole, strata)
        changed = memory.labels.find_changes(held_out, pairs)
    if changed is None or memory.labels is None:
        hidden = memory.split_labels(people, learn)
        if learn > 0.0 and np.count_nonzero(~hidden) < FEWEST_LEARNT:
            empty = DrawnLabels(pairs=np.zeros(0, np.int64), agrees=np.zeros(0, np.int8), wealth=memory.start)
            return replace(_measure(panel, people.select_tested(learn), empty), memory=memory)
        posterior, held_out = _hold_out(panel, hidden, whole, strata)
        memory = memory.begin_revision(TestedRevision.of(held_out, pairs), people.pairs[~hidden])
    else:
        held_out = memory.labels.restore(pairs)
    rows = index_of_pairs(people.pairs, whole)
    memory = memory.add_labels(people, held_out.is_open[rows] & (held_out.direction[rows] != 0))
    memory = memory.note_agreement(people, _compare(people, held_out, rows, panel.section.guarantee))
    tested = np.isin(people.pairs, memory.tested)
    with_verdicts = add_verdicts(posterior, whole, people)
    changed = order_responses(with_verdicts).direction != held_out.direction
    changed[rows] = False  # people have labelled these
    drawn = DrawnLabels(
        pairs=np.searchsorted(pairs, memory.tested),
        agrees=memory.agrees,
        wealth=memory.start,
        changed=changed,
    )
    certification = certify_labels(held_out, rows[tested], people.verdict[tested], panel.section, drawn)
    return HeldOutTest(
        hidden=hidden,
        held_out=held_out,
        posterior=with_verdicts,
        certification=certification,
        memory=_remember(memory, certification, len(people) if learn > 0.0 else 0),
    )


def _remember(memory: GuaranteeMemory, certification: Certification, labels: int) -> GuaranteeMemory:
    assert certification.anytime is not None
    memory = replace(
        memory,
        left=certification.anytime.left,
        lead=min(certification.anytime.lead, 1e300),
        holds=certification.holds,
    )
    return replace(memory, identity="") if is_due_to_retire(memory, labels) else memory


def _compare(people: People, held_out: HeldOutResult, rows: Int64, asked: GuaranteeSection | None) -> Int8:
    """Compare people's verdicts with the labels: int8[L] of 1 (agree), -1 (disagree) and 0 (does not count)."""
    verdict = np.sign(people.verdict)
    agrees = np.where(verdict == held_out.direction[rows], 1, -1)
    ignored = asked is not None and asked.ties == "ignore"
    return np.where((verdict == 0) & ignored, 0, agrees).astype(np.int8)


def _measure(panel: TestedPanel, testing: Bool, drawn: DrawnLabels | None) -> HeldOutTest:
    people = panel.people
    if int(testing.sum()) < FEWEST_TESTED:
        return HeldOutTest(hidden=testing)
    whole = tally_pairs(panel.votes)
    posterior, held_out = _hold_out(panel, testing, whole, panel.strata(whole))
    labelled = index_of_pairs(people.pairs[testing], whole)
    return HeldOutTest(
        hidden=testing,
        held_out=held_out,
        posterior=add_verdicts(posterior, whole, people),
        certification=certify_labels(held_out, labelled, people.verdict[testing], panel.section, drawn),
    )


def _drop_tested(people: People, testing: Bool, unseen: Votes) -> People:
    """Drop the verdicts under test, also from the estimate of how far each person is trusted."""
    rest = ~testing
    return replace(
        people,
        pairs=people.pairs[rest],
        verdict=people.verdict[rest],
        is_drawn=people.is_drawn[rest],
        coin=people.coin[rest],
        is_split=people.is_split[rest] if len(people.is_split) else people.is_split,
        trust=estimate_reliability(unseen),
    )


def _hold_out(
    panel: TestedPanel, testing: Bool, whole: PairTally, strata: tuple[Int64, tuple[str, ...]]
) -> tuple[Posterior, HeldOutResult]:
    """Estimate labels without the verdicts under test, as rows of the pairs of all votes (`whole`).

    A pair may have had no vote but the hidden ones.
    """
    people = panel.people
    unseen = drop_votes(panel.votes, people.pairs[testing])
    posterior = estimate_posterior(unseen, _drop_tested(people, testing, unseen), panel.section, panel.model)
    rows = index_of_pairs(pair_ids(posterior.tally), whole)
    p_a, direction = np.full(len(whole), 0.5), np.zeros(len(whole), np.int8)
    judged = np.zeros(len(whole), np.bool_)
    p_a[rows], judged[rows] = posterior.p_a, True
    direction[rows] = order_responses(posterior).direction
    judged[index_of_pairs(people.pairs[~testing], whole)] = False
    judged[index_of_pairs(panel.barred, whole)] = False
    return posterior, HeldOutResult(
        p_a=p_a, direction=direction, is_open=judged, stratum=strata[0], strata=strata[1]
    )
