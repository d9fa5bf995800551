"""The posterior of every pair before denoising: by majority or an annotator model, with people's verdicts above all."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from curate.aggregate.annotator_reliability import LEAST
from curate.aggregate.annotators import OpenedModel, open_annotator_model
from curate.aggregate.annotators.result import AnnotatorFit
from curate.aggregate.by_pair import one_vote_a_pair
from curate.aggregate.graph.arcs import log_odds, net_votes
from curate.aggregate.graph.denoise import drop_contradicted_votes, sum_denoised_graphs
from curate.aggregate.graph.majority import build_majority
from curate.aggregate.graph.solution import DenoisedGraphs, per_prompt_sum
from curate.aggregate.graph.tally import PairTally
from curate.aggregate.human_votes import People
from curate.aggregate.shards import denoise_in_shards
from curate.aggregate.soft_votes import calibrate_votes, harden_votes
from curate.aggregate.votes import Float64, Int64, Votes
from curate.config.aggregate import AggregateSection
from curate.core.errors import CurateError

DIGITS = 9
"""Digits that a figure is rounded to: parallel sums may differ beyond them, and equal inputs must give equal rows."""
LEARNT_DIGITS = 3
"""Digits that a learnt probability is rounded to. Every judgment moves all of them a little, and a difference that
nobody could notice should rewrite no row. Everything else follows from the rounded values."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """The estimates of the E pairs of `tally`, before denoising.

    | field      | type       | meaning |
    | ---        | ---        | --- |
    | `p_a`      | float64[E] | probability that a is better |
    | `net`      | float64[E] | net evidence for a of the pair's own votes |
    | `arcs`     | float64[E] | `net`, or the sum of the annotators' denoised graphs where these are made first |
    | `fit`      | fit, None  | the fit of the annotator model; None for a plain majority |
    | `warnings` | tuple[str] | reasons to doubt the result, one sentence each |
    """

    tally: PairTally
    p_a: Float64
    net: Float64
    arcs: Float64
    fit: AnnotatorFit | None = None
    warnings: tuple[str, ...] = ()


def estimate_posterior(
    votes: Votes, people: People, section: AggregateSection, model: OpenedModel | None = None
) -> Posterior:
    """Estimate the posterior of every pair by majority or by the annotator model that `section` names.

    Probabilities count as `section.vote` says (see `soft_votes`).

    Both published orders of the two steps weigh annotators alike: one vote per pair for `majority`, and the learnt
    weights for other models. With `denoise-then-ensemble`, a model reads the votes that each annotator's own order
    keeps.

    Args:
        votes: The votes of judges and people.
        people: Verdicts of people that may be used, and how far each person is trusted.
        section: The settings, with a model in place of `auto`.
        model: The model that `section` names; None: open it by its name.
    """
    votes = harden_votes(votes) if section.vote == "hard" else calibrate_votes(votes, people)
    votes = replace(votes, trust=people.trust)
    weight = weigh_people_first(votes, one_vote_a_pair(votes))
    majority = build_majority(votes, weight=weight, soft=True)
    denoised_first = section.method == "denoise-then-ensemble"
    if section.annotator_model_name == "majority" or not len(votes):
        net = net_votes(majority.tally)
        arcs = sum_denoised_graphs(votes, weight=weight, soft=True)[1] if denoised_first else net
        for evidence in (net, arcs):
            evidence[index_of_pairs(people.pairs[people.verdict == 0], majority.tally)] = (
                0.0  # ties by people
            )
        return Posterior(majority.tally, np.round(majority.p_a, DIGITS), net, arcs)
    readable = drop_contradicted_votes(votes) if denoised_first else votes
    opened = model or open_annotator_model(section.annotator_model_name, section.annotator_model_options)
    fit = opened.model.fit(readable)
    rows = _index_fit(opened.name, fit, majority.tally, votes, whole=not denoised_first)
    p_a = np.full(
        len(majority.tally), 0.5
    )  # nothing is known of a pair whose votes all contradict themselves
    p_a[rows] = np.round(fit.p_a, LEARNT_DIGITS)
    net = _raise_above_judges(log_odds(p_a), majority.tally, people)
    return Posterior(majority.tally, p_a, net, net, fit, fit.warnings)


def _index_fit(name: str, fit: AnnotatorFit, pairs: PairTally, votes: Votes, *, whole: bool) -> Int64:
    """Return the index in `pairs` of every pair of the fit, and refuse a fit that breaks the contract of its class."""
    rows = index_of_pairs(fit.a.astype(np.int64) * votes.n_responses + fit.b, pairs)
    if len(rows) != len(fit.a) or (len(rows) < len(pairs) and whole):
        raise CurateError(
            f"The annotator model {name!r} must return one row for each of {len(pairs)} pairs with votes, in ascending "
            f"order; it returned {len(fit.a)}, of which {len(rows)} are such pairs."
        )
    if len(fit.p_a) != len(rows) or not np.all((fit.p_a >= 0.0) & (fit.p_a <= 1.0)):
        raise CurateError(
            f"The annotator model {name!r} must return a probability from 0 to 1 for each pair: check `p_a`."
        )
    if len(fit.ability) != len(votes.annotators):
        raise CurateError(
            f"The annotator model {name!r} must return an ability for each of {len(votes.annotators)} annotators; it "
            f"returned {len(fit.ability)}."
        )
    return rows


def add_verdicts(held_out: Posterior, whole: PairTally, people: People) -> Posterior:
    """Put people's verdicts into a posterior that was estimated without some of them.

    `whole` is the tally of all votes, so that it has the pairs again that only people judged.
    """
    rows = index_of_pairs(pair_ids(held_out.tally), whole)
    p_a = np.full(len(whole), 0.5)
    p_a[rows] = held_out.p_a
    labelled = index_of_pairs(people.pairs, whole)
    p_a[labelled] = np.round((1 + people.verdict) / 2, DIGITS)
    net = _raise_above_judges(log_odds(p_a), whole, people)
    return replace(held_out, tally=whole, p_a=p_a, net=net, arcs=net)


def order_responses(posterior: Posterior) -> DenoisedGraphs:
    """Denoise the preference graph of every prompt."""
    return denoise_in_shards(posterior.tally, posterior.arcs)


def weigh_people_first(votes: Votes, weight: Float64) -> Float64:
    """Raise the weight of each person's vote above that of all judges together, so that no panel overrules people.

    The factor is a power of ten, so that one more judge on a few pairs does not move the figures of every pair that
    people judged. It is larger where some people are trusted less, so that even their votes outweigh the judges.
    """
    judges = float(weight[~votes.human].sum())
    trust = votes.trust if len(votes.trust) else np.ones(len(weight))
    least = 1.0 if np.all(trust == 1.0) else LEAST / 2
    above = 10.0 ** np.ceil(np.log10((1.0 + judges) / least))
    return np.where(votes.human, weight * trust * above, weight)


def pair_ids(pairs: PairTally) -> Int64:
    """Return int64[E], one number per pair, ascending: a · responses + b."""
    result: Int64 = pairs.a.astype(np.int64) * int(pairs.responses[-1]) + pairs.b
    return result


def index_of_pairs(wanted: Int64, pairs: PairTally) -> Int64:
    """Return the index in `pairs` of every wanted pair (numbered as by `pair_ids`) that is there."""
    known = pair_ids(pairs)
    index = np.searchsorted(known, wanted)
    is_known = index < len(known)
    is_known[is_known] = known[index[is_known]] == wanted[is_known]
    return index[is_known]


def _raise_above_judges(net: Float64, pairs: PairTally, people: People) -> Float64:
    """Make the arcs of people's verdicts heavier than all other arcs of the prompt together."""
    rows = index_of_pairs(people.pairs, pairs)
    if not len(rows):
        return net
    judges = net.copy()
    judges[rows] = 0.0
    result = judges.copy()
    sign = np.sign(people.verdict[np.isin(people.pairs, pair_ids(pairs))])
    result[rows] = sign * (1.0 + per_prompt_sum(np.abs(judges), pairs)[pairs.prompt[rows]])
    return result
