"""From votes to labels with a status: the posterior, the denoised graphs, and the test against people's labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.annotators import OpenedModel
from curate.aggregate.certify import Certification, HeldOutResult
from curate.aggregate.graph.solution import DenoisedGraphs
from curate.aggregate.guarantee_memory import GuaranteeMemory
from curate.aggregate.held_out_test import Strata, TestedPanel, run_test_anytime, run_test_once
from curate.aggregate.human_votes import People
from curate.aggregate.model_choice import choose_annotator_model
from curate.aggregate.posterior import (
    LEARNT_DIGITS,
    Posterior,
    estimate_posterior,
    index_of_pairs,
    order_responses,
)
from curate.aggregate.soft_votes import find_graded_annotators
from curate.aggregate.strata import group_all
from curate.aggregate.votes import Float64, Int8, Int64, Votes
from curate.config.aggregate import AggregateSection


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """The labels of E pairs, those of `posterior.tally`.

    `certification` is about the same pairs, and None with too few labels of people.

    `section`: the settings with the annotator model that `auto` stands for; `model_choice`: a sentence on that, or "".
    `p_a` float64[E] is calibrated; `case` int8[E] indexes `cases`: status and reason ("" for none).
    `n_learnt` counts the verdicts that the model learnt from. `memory`: what to remember for the next look.
    """

    section: AggregateSection
    model_choice: str
    posterior: Posterior
    graphs: DenoisedGraphs
    p_a: Float64
    case: Int8
    cases: tuple[tuple[str, str], ...]
    people: People
    n_learnt: int
    n_hidden: int
    strata: tuple[str, ...]
    certification: Certification | None
    memory: GuaranteeMemory | None = None

    @property
    def is_accepted(self) -> NDArray[np.bool_]:
        """Mark the accepted pairs, flipped ones included: bool[E]."""
        taken = np.array([status in ("accepted", "flipped") for status, _ in self.cases])
        return taken[self.case]

    @property
    def confidence(self) -> Float64:
        """Return the probability that the label is right, float64[E]; of a tie, that the likelier side is."""
        direction = self.graphs.direction
        either = np.maximum(self.p_a, 1.0 - self.p_a)
        return np.select([direction > 0, direction < 0], [self.p_a, 1.0 - self.p_a], either)


def label_pairs(
    votes: Votes,
    people: People,
    section: AggregateSection,
    *,
    model: OpenedModel | None = None,
    strata: Strata = group_all,
    conflicting: Int64 | None = None,
    memory: GuaranteeMemory | None = None,
) -> Labelling:
    """Label every pair with votes.

    Where a guarantee holds, the labels are those of the held-out result, with people's verdicts put in. Where none
    does, there is no reason to hide labels from the model, and it learns from all of them.

    Args:
        votes: The votes of judges and people.
        people: The verdicts of people.
        section: The settings; `auto` is resolved here.
        model: The model that `section` names; None: open it by its name.
        strata: Groups pairs for the guarantee.
        conflicting: int64[C], pairs (numbered as in `People`) that are never accepted.
        memory: What earlier looks of a guarantee at every look have left; None: this is the first one.
    """
    asked, choice = section, choose_annotator_model(votes, people, section)
    section = choice.section
    is_majority = section.annotator_model_name == "majority"
    # A majority of probabilities learns how far to trust each judge's.
    learns = not is_majority or (section.vote == "soft" and bool(find_graded_annotators(votes).any()))
    barred = np.zeros(0, np.int64) if conflicting is None else conflicting
    panel = TestedPanel(
        votes=votes, people=people, section=section, model=model, strata=strata, barred=barred
    )
    learn = section.guarantee.learn if section.guarantee is not None else 0.3
    if section.guarantee is None or section.guarantee.looks == "one":
        test = run_test_once(panel, learn if learns else 0.0)
    else:
        never = (
            asked.annotator_model_name == "majority" and not learns
        )  # `auto` will learn once there are labels
        test = run_test_anytime(panel, memory or GuaranteeMemory(), learn=0.0 if never else learn)
    held_out, certification = test.held_out, test.certification
    if test.posterior is not None and test.holds and learns:
        posterior = test.posterior
    else:
        posterior = estimate_posterior(votes, people, section, model)
    if choice.warnings:
        posterior = replace(posterior, warnings=choice.warnings)
    graphs = order_responses(posterior)
    p_a = posterior.p_a.copy()
    if certification is not None:
        unlabelled = np.setdiff1d(np.arange(len(p_a)), index_of_pairs(people.pairs, posterior.tally))
        p_a[unlabelled] = np.round(certification.calibrate(p_a[unlabelled]), LEARNT_DIGITS)
    case, cases = _assign_statuses(posterior, graphs, people, held_out, certification, barred)
    return Labelling(
        section=section,
        model_choice=choice.reason,
        posterior=posterior,
        graphs=graphs,
        p_a=p_a,
        case=case,
        cases=cases,
        people=people,
        n_learnt=0 if not learns else len(people) - (int(test.hidden.sum()) if test.holds else 0),
        n_hidden=int(test.hidden.sum()),
        strata=() if held_out is None else held_out.strata,
        certification=certification,
        memory=test.memory,
    )


def _assign_statuses(
    posterior: Posterior,
    graphs: DenoisedGraphs,
    people: People,
    held_out: HeldOutResult | None,
    certification: Certification | None,
    barred: Int64,
) -> tuple[Int8, tuple[tuple[str, str], ...]]:
    """Assign a status and a reason to each pair.

    verified: the label agrees with people; routed: people should be asked; flipped: the order overrules the pair's own
    votes. Without a guarantee, the rest is accepted; with one, only pairs above its threshold are, and the rest routed.
    """
    direction, voted = graphs.direction, np.sign(posterior.net)
    has_verdict = np.zeros(len(direction), np.bool_)
    verdict, is_barred = np.zeros(len(direction), np.int8), np.zeros(len(direction), np.bool_)
    is_barred[index_of_pairs(barred, posterior.tally)] = True
    rows = index_of_pairs(people.pairs, posterior.tally)
    has_verdict[rows], verdict[rows] = True, np.sign(people.verdict).astype(np.int8)
    is_split = np.zeros(len(direction), np.bool_)
    is_split[index_of_pairs(people.pairs[np.flatnonzero(people.is_split)], posterior.tally)] = True
    cases: list[tuple[NDArray[np.bool_], str, str]] = [
        (is_split, "routed", "the verdicts of people contradict each other"),
        (has_verdict & (verdict == direction), "verified", ""),
        (has_verdict & (verdict == 0), "routed", "people see no difference"),
        (has_verdict, "routed", "what people said of the prompt's pairs contradicts itself"),
        (is_barred, "routed", "the reward models contradict each other"),
    ]
    balanced = [
        ((direction == 0) & (voted == 0), "the votes are balanced"),
        (direction == 0, "the pair is in a balanced cycle"),
    ]
    if held_out is not None and certification is not None and certification.holds:
        uncertain = [k for k, part in certification.by_stratum if not part.holds]
        cases += [(where, "routed", why) for where, why in balanced]
        cases += [
            (np.isin(held_out.stratum, uncertain), "routed", "nothing in its stratum can be guaranteed"),
            (
                held_out.direction != direction,
                "routed",
                "later verdicts or judgments have changed the label since it was tested",
            ),
            (~certification.accepted, "routed", "confidence below the guarantee's threshold"),
        ]
    cases.append((voted * direction < 0, "flipped", "the prompt's other pairs overrule this pair's votes"))
    cases += [(where, "accepted", why) for where, why in balanced]
    case = np.select([where for where, _, _ in cases], list(range(len(cases))), len(cases))
    return case.astype(np.int8), (*((status, reason) for _, status, reason in cases), ("accepted", ""))
