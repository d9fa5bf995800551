"""From votes to labels with a status: the opinion, the graphs, and how far people bear them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.annotator_reliability import estimate_reliability
from curate.aggregate.annotators.panel import find_warnings
from curate.aggregate.certify import Certification, HeldOutResult, certify_labels
from curate.aggregate.graph.solution import DenoisedGraphs
from curate.aggregate.graph.tally import PairTally, tally_pairs
from curate.aggregate.human_votes import People, drop_votes
from curate.aggregate.model_choice import count_labels, describe_choice, resolve_annotator_model
from curate.aggregate.posterior import (
    LEARNT_DIGITS,
    Posterior,
    add_verdicts,
    estimate_posterior,
    index_of_pairs,
    order_responses,
    pair_ids,
)
from curate.aggregate.strata import group_all
from curate.aggregate.votes import Float64, Int8, Int32, Int64, Votes
from curate.config.aggregate import AggregateSection

FEWEST_TESTED = 10
"""Below so many labels nothing is measured: a model sooner learns from them."""
Strata = Callable[[PairTally], tuple[Int64, tuple[str, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """E pairs, those of `opinion.tally`; `assessed` speaks of the same pairs, and is None with too few labels.

    `section`: the settings with the annotator model that `auto` stands for; `choice`: a sentence on that, or "".
    `p_a` float64[E] is calibrated; `case` int8[E] is the place in `cases` of the pair's status and the reason for it
    ("" for none).
    """

    section: AggregateSection
    choice: str
    opinion: Posterior
    graphs: DenoisedGraphs
    p_a: Float64
    case: Int8
    cases: tuple[tuple[str, str], ...]
    people: People
    learnt: int
    strata: tuple[str, ...]
    assessed: Certification | None

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """bool[E], which pairs are accepted, flipped ones among them."""
        taken = np.array([status in ("accepted", "flipped") for status, _ in self.cases])
        return taken[self.case]

    @property
    def confidence(self) -> Float64:
        """float64[E], that the label is right; of a tie, that the likelier side is."""
        direction = self.graphs.direction
        either = np.maximum(self.p_a, 1.0 - self.p_a)
        return np.select([direction > 0, direction < 0], [self.p_a, 1.0 - self.p_a], either)


def label_pairs(
    votes: Votes,
    people: People,
    section: AggregateSection,
    *,
    author: Int32 | None = None,
    strata: Strata = group_all,
    conflicting: Int64 | None = None,
) -> Labelling:
    """Everything but the ids of the rows. `conflicting`: pairs (numbered as in `People`) that are never accepted.

    Where a guarantee holds, its labels are those of the blind result, with people's verdicts put in. Where none
    does, there is no reason to hide labels from the model, and it learns from all of them.
    """
    asked, section = section, resolve_annotator_model(votes, people, section)
    barred = np.zeros(0, np.int64) if conflicting is None else conflicting
    learn = section.guarantee.learn if section.guarantee is not None else 0.3
    testing = people.testing(0.0 if section.annotator_model == "majority" else learn)
    blind = assessed = opinion = None
    if int(testing.sum()) >= FEWEST_TESTED:
        whole = tally_pairs(votes)
        opinion, blind = _hold_out(votes, people, testing, whole, strata(whole), section, author)
        blind.open[index_of_pairs(barred, whole)] = False
        labelled = index_of_pairs(people.pairs[testing], whole)
        assessed = certify_labels(blind, labelled, people.verdict[testing], section)
        opinion = add_verdicts(opinion, whole, people)
    if opinion is None or section.annotator_model == "majority" or not (assessed and assessed.holds):
        opinion = estimate_posterior(votes, people, section, author=author)
    if asked.annotator_model == "auto" and section.annotator_model == "majority":
        opinion = replace(opinion, doubts=find_warnings(votes))
    graphs = order_responses(opinion)
    p_a = opinion.p_a.copy()
    if assessed is not None:
        unsaid = np.setdiff1d(np.arange(len(p_a)), index_of_pairs(people.pairs, opinion.tally))
        p_a[unsaid] = np.round(assessed.calibrate(p_a[unsaid]), LEARNT_DIGITS)
    case, cases = _assign_statuses(opinion, graphs, people, blind, assessed, barred)
    return Labelling(
        section=section,
        choice=describe_choice(asked, section, count_labels(votes, people)),
        opinion=opinion,
        graphs=graphs,
        p_a=p_a,
        case=case,
        cases=cases,
        people=people,
        learnt=0
        if section.annotator_model == "majority"
        else len(people) - int(_count_hidden(testing, assessed)),
        strata=() if blind is None else blind.strata,
        assessed=assessed,
    )


def _count_hidden(testing: NDArray[np.bool_], assessed: Certification | None) -> int:
    """How many verdicts the shipped result was kept from."""
    return int(testing.sum()) if assessed is not None and assessed.holds else 0


def _drop_tested(people: People, testing: NDArray[np.bool_], unseen: Votes) -> People:
    """People without the verdicts under test, which have no part in how far anyone is trusted either."""
    rest = ~testing
    return replace(
        people,
        pairs=people.pairs[rest],
        verdict=people.verdict[rest],
        drawn=people.drawn[rest],
        coin=people.coin[rest],
        trust=estimate_reliability(unseen),
    )


def _hold_out(
    votes: Votes,
    people: People,
    testing: NDArray[np.bool_],
    whole: PairTally,
    strata: tuple[Int64, tuple[str, ...]],
    section: AggregateSection,
    author: Int32 | None,
) -> tuple[Posterior, HeldOutResult]:
    """The result without people's verdicts under test, spread over the pairs of all votes (`whole`).

    A pair may have had no vote but the hidden ones.
    """
    unseen = drop_votes(votes, people.pairs[testing])
    opinion = estimate_posterior(unseen, _drop_tested(people, testing, unseen), section, author=author)
    at = index_of_pairs(pair_ids(opinion.tally), whole)
    p_a, direction = np.full(len(whole), 0.5), np.zeros(len(whole), np.int8)
    judged = np.zeros(len(whole), np.bool_)
    p_a[at], judged[at] = opinion.p_a, True
    direction[at] = order_responses(opinion).direction
    judged[index_of_pairs(people.pairs[~testing], whole)] = False
    return opinion, HeldOutResult(
        p_a=p_a, direction=direction, open=judged, stratum=strata[0], strata=strata[1]
    )


def _assign_statuses(
    opinion: Posterior,
    graphs: DenoisedGraphs,
    people: People,
    blind: HeldOutResult | None,
    assessed: Certification | None,
    barred: Int64,
) -> tuple[Int8, tuple[tuple[str, str], ...]]:
    """verified: the label is what people say; routed: to be asked; flipped: the order overrules the pair's own votes.

    Without a guarantee, the rest is accepted; with one, only what lies above its threshold is, and the rest routed.
    """
    direction, voted = graphs.direction, np.sign(opinion.net)
    said = np.zeros(len(direction), np.bool_)
    verdict, at_barred = np.zeros(len(direction), np.int8), np.zeros(len(direction), np.bool_)
    at_barred[index_of_pairs(barred, opinion.tally)] = True
    at = index_of_pairs(people.pairs, opinion.tally)
    said[at], verdict[at] = True, np.sign(people.verdict).astype(np.int8)
    cases: list[tuple[NDArray[np.bool_], str, str]] = [
        (said & (verdict == direction), "verified", ""),
        (said & (verdict == 0), "routed", "people see no difference, or differ among themselves"),
        (said, "routed", "what people said of the prompt's pairs contradicts itself"),
        (at_barred, "routed", "the reward models contradict each other"),
    ]
    balanced = [
        ((direction == 0) & (voted == 0), "the votes are balanced"),
        (direction == 0, "the pair is in a balanced cycle"),
    ]
    if blind is not None and assessed is not None and assessed.holds:
        none_at = [k for k, part in assessed.parts if not part.holds]
        cases += [(where, "routed", why) for where, why in balanced]
        cases += [
            (np.isin(blind.stratum, none_at), "routed", "nothing in its stratum can be guaranteed"),
            (
                blind.direction != direction,
                "routed",
                "people's verdicts on the prompt's other pairs changed the label",
            ),
            (~assessed.accepted, "routed", "confidence below the guarantee's threshold"),
        ]
    cases.append((voted * direction < 0, "flipped", "the prompt's other pairs overrule this pair's votes"))
    cases += [(where, "accepted", why) for where, why in balanced]
    case = np.select([where for where, _, _ in cases], list(range(len(cases))), len(cases))
    return case.astype(np.int8), (*((status, reason) for _, status, reason in cases), ("accepted", ""))
