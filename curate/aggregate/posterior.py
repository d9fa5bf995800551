"""What the annotator model says of every pair, before the graphs, with people's word above all."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from curate.aggregate.annotator_reliability import LEAST
from curate.aggregate.annotators import fit_model
from curate.aggregate.annotators.panel import PanelOptions
from curate.aggregate.annotators.result import AnnotatorFit
from curate.aggregate.by_pair import one_vote_a_pair
from curate.aggregate.graph.arcs import log_odds, net_votes
from curate.aggregate.graph.denoise import denoise_graphs, drop_contradicted_votes, sum_denoised_graphs
from curate.aggregate.graph.majority import build_majority
from curate.aggregate.graph.solution import DenoisedGraphs, per_prompt_sum
from curate.aggregate.graph.tally import PairTally
from curate.aggregate.human_votes import People
from curate.aggregate.votes import Float64, Int32, Int64, Votes
from curate.config.aggregate import AggregateSection

DIGITS = 9
"""What is kept of a figure: parallel sums may differ beyond that, and equal inputs must give equal rows."""
LEARNT_DIGITS = 3
"""What is kept of a probability that was learnt: every judgment moves all of them a little, and what moves by less
than anyone could tell should rewrite no row. Everything else follows from the kept digits."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """E pairs (those of `tally`), A annotators.

    `p_a` float64[E], that a is better; `net` float64[E], what the pair's own votes say; `arcs` float64[E], what the
    prompt's order is made from: the same, unless annotators' graphs are denoised before they are put together; `fit`
    what was learnt of the annotators, None for a plain majority; `doubts`: what the data say against the result, one
    sentence each.
    """

    tally: PairTally
    p_a: Float64
    net: Float64
    arcs: Float64
    fit: AnnotatorFit | None = None
    doubts: tuple[str, ...] = ()


def estimate_posterior(
    votes: Votes, people: People, section: AggregateSection, *, author: Int32 | None = None
) -> Posterior:
    """Majority, or the model that `section` names. `author` int32[R]: which model wrote each response.

    Both published orders of the two steps put annotators together alike: with one vote a pair for `majority`, as they
    have been learnt for the other models. With `denoise-then-ensemble` a model reads the votes that each annotator's
    own order keeps.
    """
    votes = replace(votes, trust=people.trust)
    weight = weigh_people_first(votes, one_vote_a_pair(votes))
    said = build_majority(votes, weight=weight)
    denoised_first = section.method == "denoise-then-ensemble"
    if section.annotator_model == "majority" or not len(votes):
        net = net_votes(said.tally)
        arcs = sum_denoised_graphs(votes, weight=weight)[1] if denoised_first else net
        for evidence in (net, arcs):
            evidence[index_of_pairs(people.pairs[people.verdict == 0], said.tally)] = (
                0.0  # people call these ties
            )
        return Posterior(said.tally, np.round(said.p_a, DIGITS), net, arcs)
    options = PanelOptions(author=author) if section.annotator_model == "panel" else None
    read = drop_contradicted_votes(votes) if denoised_first else votes
    fitted = fit_model(section.annotator_model, read, options=options)
    place = index_of_pairs(fitted.a.astype(np.int64) * votes.n_responses + fitted.b, said.tally)
    if len(place) != len(fitted.a) or (len(place) < len(said.tally) and not denoised_first):
        raise AssertionError("the annotator model and the tally list different pairs")
    p_a = np.full(len(said.tally), 0.5)  # of a pair whose votes all contradict themselves nothing is known
    p_a[place] = np.round(fitted.p_a, LEARNT_DIGITS)
    net = _raise_above_judges(log_odds(p_a), said.tally, people)
    return Posterior(said.tally, p_a, net, net, fitted, fitted.doubts)


def add_verdicts(blind: Posterior, whole: PairTally, people: People) -> Posterior:
    """A model's opinion that was formed without some of people's votes, with those put in their place.

    `whole` is the tally of all votes, so that pairs that only people judged are there again.
    """
    at = index_of_pairs(pair_ids(blind.tally), whole)
    p_a = np.full(len(whole), 0.5)
    p_a[at] = blind.p_a
    labelled = index_of_pairs(people.pairs, whole)
    p_a[labelled] = np.round((1 + people.verdict) / 2, DIGITS)
    net = _raise_above_judges(log_odds(p_a), whole, people)
    return replace(blind, tally=whole, p_a=p_a, net=net, arcs=net)


def order_responses(opinion: Posterior) -> DenoisedGraphs:
    """Make the acyclic graphs."""
    return denoise_graphs(opinion.tally, net=opinion.arcs)


def weigh_people_first(votes: Votes, weight: Float64) -> Float64:
    """The weights with a person's vote above all judges' together: what a person has said, no panel overrules.

    A power of ten, so that one more judge on a few pairs does not move the figures of every pair that people judged.
    Where a person is trusted less than others, so is what people's votes may come to, at least a twentieth.
    """
    judges = float(weight[~votes.human].sum())
    trust = votes.trust if len(votes.trust) else np.ones(len(weight))
    least = 1.0 if np.all(trust == 1.0) else LEAST / 2
    above = 10.0 ** np.ceil(np.log10((1.0 + judges) / least))
    return np.where(votes.human, weight * trust * above, weight)


def pair_ids(pairs: PairTally) -> Int64:
    """int64[E], one number a pair, ascending."""
    result: Int64 = pairs.a.astype(np.int64) * int(pairs.responses[-1]) + pairs.b
    return result


def index_of_pairs(wanted: Int64, pairs: PairTally) -> Int64:
    """The places in `pairs` of pairs (as `keys` gives them) that it has."""
    have = pair_ids(pairs)
    at = np.searchsorted(have, wanted)
    there = at < len(have)
    there[there] = have[at[there]] == wanted[there]
    return at[there]


def _raise_above_judges(net: Float64, pairs: PairTally, people: People) -> Float64:
    """The arcs with those of people's verdicts heavier than all other arcs of the prompt together."""
    at = index_of_pairs(people.pairs, pairs)
    if not len(at):
        return net
    judges = net.copy()
    judges[at] = 0.0
    result = judges.copy()
    sign = np.sign(people.verdict[np.isin(people.pairs, pair_ids(pairs))])
    result[at] = sign * (1.0 + per_prompt_sum(np.abs(judges), pairs)[pairs.prompt[at]])
    return result
