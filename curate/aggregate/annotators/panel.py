"""The default model: judges with habits who may err together, and the labels of people.

1. Agreement alone tells who errs together and whether the panel holds one opinion (`clusters`).
2. EM for ability, position, tie and length habits (`panel_em`).
3. Pairs of a prompt inform each other (`transitivity`).
4. With labels, a Gaussian process learns which patterns of judges to believe (`fusion`). Steps 1 to 3 then do not use
   labels: labels that shaped the consensus could not measure how far to trust it. (Fewer than `MIN_LABELS` are clamped
   in the EM instead.)

Where the panel holds two opinions and no person has said which one is right, learnt weights would be a guess:
each vote then counts the same, confidence is the share of votes, and the result says so in `warnings`.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from curate.aggregate.annotators.base import AnnotatorModel
from curate.aggregate.annotators.clusters import Structure, find_structure
from curate.aggregate.annotators.fusion import Fusion, fuse_opinions
from curate.aggregate.annotators.pairs import (
    PairLabels,
    PairTable,
    build_pair_table,
    count_annotator_pairs,
    count_outcomes,
    drop_labels,
    take_pairs,
)
from curate.aggregate.annotators.panel_em import fit_against_truth, fit_panel, measure_repeat_correlation
from curate.aggregate.annotators.panel_kernels import BETA, GAMMA, KAPPA
from curate.aggregate.annotators.panel_shards import make_panel_data
from curate.aggregate.annotators.result import AgreementCounts, AnnotatorFit, count_agreement
from curate.aggregate.annotators.transitivity import apply_transitivity
from curate.aggregate.annotators.vote_patterns import (
    build_vote_patterns,
    find_frequent_annotators,
    measure_moments,
)
from curate.aggregate.votes import Float64, Int32, Int64, Votes
from curate.core.section import Section
from curate.stats.coins import compute_tail

MIN_LABELS = 5
_FLOOR = 0.01
_SAMPLE = 20_000
_SLIGHT = 0.25
_DISSENT = 0.3
_MAX_SCORE = 4.0


class PanelOptions(Section):
    """Options of `panel`."""

    max_iterations: int = Field(200, ge=1, description="Largest number of EM iterations.")
    tolerance: float = Field(
        1e-4, gt=0, description="It has converged once no posterior moves by more than this."
    )
    transitivity: bool = Field(True, description="Let the pairs of a prompt inform each other.")
    seed: int = Field(0, description="Seed of the random starts of the clustering.")


def fit(
    votes: Votes, *, labels: PairLabels | None = None, options: PanelOptions | None = None
) -> AnnotatorFit:
    """Fit the panel model. Labels are the votes of annotators with `human` set, and `labels`."""
    options = options or PanelOptions()
    table = build_pair_table(votes, labels)
    counted = count_agreement(table)
    columns = find_frequent_annotators(table, counted)
    shape = _measure_structure(table, columns, counted, options.seed)
    slight = bool(np.all(np.abs(shape.discount - 1) < _SLIGHT))
    discount = np.ones(len(columns)) if slight else shape.discount
    labelled = np.flatnonzero(table.n_gold > 0)
    # A label of a pair that no judge voted on does not tell whom to believe.
    compared = labelled[np.diff(table.offsets)[labelled] > 0]
    learns = len(compared) >= MIN_LABELS and len(columns) > 0
    data = make_panel_data(
        drop_labels(table) if learns else table,
        _spread_values(discount, columns, len(table.annotators), 1.0),
    )
    if slight:
        state = fit_panel(data, max_iterations=options.max_iterations, tolerance=options.tolerance)
    else:
        state = fit_against_truth(
            data,
            _weigh_opinions(table, columns, counted, shape),
            max_iterations=options.max_iterations,
            tolerance=options.tolerance,
        )
    n_opinions = int(count_annotator_pairs(table).sum())
    repeated = 1 + (len(table) / max(n_opinions, 1) - 1) * measure_repeat_correlation(table, state.posterior)
    # Estimate habits from the plain EM posterior: the transitivity step and the 1 % floor would bias them.
    plain = not shape.divided and not learns
    habits = data.fit_habits(_replace_by_labels(state.posterior, table, labelled)) if plain else None
    consensus = np.clip(state.evidence / repeated, -20, 20)
    if options.transitivity and not shape.divided:
        consensus = apply_transitivity(
            table, votes.offsets, consensus, author=votes.author if len(votes.author) else None
        )
    posterior = (
        _share_of_votes(table)
        if shape.divided
        else _tilt_posterior(state.posterior, consensus - state.evidence)
    )
    lean = posterior[:, 2] - posterior[:, 0] if shape.divided else consensus
    fusion = None
    if learns:
        fusion = _fuse_with_labels(table, columns, counted, shape, consensus, compared, options.seed)
        posterior = _move_p_a(posterior, fusion.p_a)
    if habits is None:
        habits = data.fit_habits(_replace_by_labels(posterior, table, labelled))
    posterior = _replace_by_labels(_floor_posterior(posterior), table, labelled)
    return AnnotatorFit(
        model="panel",
        prompt=table.prompt,
        a=table.a,
        b=table.b,
        p_a=posterior[:, 2] + posterior[:, 1] / 2,
        p_tie=posterior[:, 1],
        n_votes=np.diff(table.offsets),
        ability=np.where(data.seen, habits[:, KAPPA], np.nan),
        position_bias=np.where(data.seen, habits[:, BETA], np.nan),
        tie_rate=counted.tie_rate,
        length_bias=np.where(data.seen & data.has_length, habits[:, GAMMA], np.nan),
        n=counted.n,
        agreement=counted.agreement,
        cluster=_spread_clusters(shape, columns, len(table.annotators)),
        converged=state.converged,
        iterations=len(state.trace),
        trace=state.trace,
        warnings=_write_warnings(shape, fusion, lean, table, compared),
    )


def find_warnings(votes: Votes, *, seed: int = 0) -> tuple[str, ...]:
    """Say whether the judges hold two opinions, without fitting them: for labels that another model makes.

    At most about 20,000 prompts are looked at, evenly spaced.
    """
    part = _thin_votes(votes, _SAMPLE)
    if not len(part) or part.human[part.annotator].all():
        return ()
    table = drop_labels(build_pair_table(part))
    counted = count_agreement(table)
    shape = _measure_structure(table, find_frequent_annotators(table, counted), counted, seed)
    return _write_warnings(shape, None, np.zeros(table.n_pairs), table, np.zeros(0, np.int64))


def _thin_votes(votes: Votes, most: int) -> Votes:
    """Keep the votes on at most `most` of the prompts."""
    judged = np.unique(votes.prompt)
    if len(judged) <= most:
        return votes
    wanted = np.zeros(votes.n_prompts, np.bool_)
    wanted[judged[np.linspace(0, len(judged) - 1, most).astype(np.int64)]] = True
    return votes.select(wanted[votes.prompt])


def _weigh_opinions(table: PairTable, columns: Int64, counted: AgreementCounts, shape: Structure) -> Float64:
    """Weigh opinions by Fisher's discriminant with shared errors: a posterior float64[Q, 3] of (b, tie, a).

    Opinions x of unit variance lie around ±l with covariance Σ, so the log-odds are 2 lᵀΣ⁻¹x; ties come in as
    in Davidson's model, with the share of tie votes as their weight.
    """
    opinion, _ = build_vote_patterns(table, columns, counted)
    opinion /= np.maximum(np.sqrt(np.mean(opinion**2, axis=0)), 1e-9)
    weight = shape.loading / (1 - shape.loading**2) * shape.discount
    score = np.clip(opinion @ weight, -_MAX_SCORE, _MAX_SCORE)
    ties = 2 * float(counted.ties.sum()) / max(int(counted.n.sum()), 1)
    posterior = np.stack([np.exp(-score), np.full_like(score, ties), np.exp(score)], axis=1)
    result: Float64 = posterior / posterior.sum(1, keepdims=True)
    return result


def _measure_structure(table: PairTable, columns: Int64, counted: AgreementCounts, seed: int) -> Structure:
    """Measure the structure on at most 20,000 evenly spaced pairs: enough for any correlation."""
    part = _thin_pairs(table, _SAMPLE)
    return find_structure(measure_moments(*build_vote_patterns(part, columns, counted)), seed=seed)


def _thin_pairs(table: PairTable, most: int) -> PairTable:
    if table.n_pairs <= most:
        return table
    return take_pairs(table, np.linspace(0, table.n_pairs - 1, most).astype(np.int64))


def _spread_values(value: Float64, columns: Int64, size: int, rest: float) -> Float64:
    result = np.full(size, rest)
    result[columns] = value
    return result


def _spread_clusters(shape: Structure, columns: Int64, size: int) -> Int32:
    """Number the clusters of all annotators; an annotator with too few votes is alone."""
    result = len(columns) + np.arange(size)
    result[columns] = shape.cluster
    numbered: Int32 = np.unique(result, return_inverse=True)[1].astype(np.int32)
    return numbered


def _tilt_posterior(posterior: Float64, log_odds: Float64) -> Float64:
    """Add `log_odds` float64[Q] in favour of a, in place; a tie keeps its odds to the likelier side."""
    low, tie, high = posterior.T
    side = np.maximum(high, 1e-300)
    side /= np.maximum(low, 1e-300)
    np.log(side, out=side)
    side += log_odds
    np.clip(side, -50, 50, out=side)
    high[:] = (1 - tie) / (1 + np.exp(-side))
    low[:] = 1 - tie - high
    return posterior


def _share_of_votes(table: PairTable) -> Float64:
    """Compute the shares of votes for (b, tie, a), float64[Q, 3], with half a vote added to a and b."""
    count = count_outcomes(table) + np.array([0.5, 0.0, 0.5])
    result: Float64 = count / count.sum(1, keepdims=True)
    return result


def _fuse_with_labels(
    table: PairTable,
    columns: Int64,
    counted: AgreementCounts,
    shape: Structure,
    consensus: Float64,
    labelled: Int64,
    seed: int,
) -> Fusion:
    """Learn from labels which judges to believe; the consensus of a divided panel is no evidence."""
    target = (1 + table.gold[labelled].astype(np.float64)) / 2
    opinion = build_vote_patterns(table, columns, counted)[0]
    if shape.divided:
        return fuse_opinions(opinion, consensus, labelled, target, trusts=(0.0,), seed=seed)
    return fuse_opinions(opinion, consensus, labelled, target, seed=seed)


def _move_p_a(posterior: Float64, p_a: Float64) -> Float64:
    """Move P(a) + ½ P(tie) to `p_a`; ties are kept as far as they fit."""
    tie = np.minimum(posterior[:, 1], 2 * np.minimum(p_a, 1 - p_a))
    return np.stack([1 - p_a - tie / 2, tie, p_a - tie / 2], axis=1)


def _floor_posterior(posterior: Float64) -> Float64:
    """Limit every posterior to 99 %, in place: agreement cannot show the errors that a whole panel shares."""
    posterior *= 1 - 2 * _FLOOR
    posterior[:, 0] += _FLOOR
    posterior[:, 2] += _FLOOR
    return posterior


def _replace_by_labels(posterior: Float64, table: PairTable, labelled: Int64) -> Float64:
    """Replace the posterior by people's labels: their mean, a tie when they cancel out."""
    if not len(labelled):
        return posterior
    result = posterior.copy()
    gold = table.gold[labelled].astype(np.float64)
    tie = gold == 0
    result[labelled] = np.stack(
        [(1 - gold) / 2 * ~tie, tie.astype(np.float64), (1 + gold) / 2 * ~tie], axis=1
    )
    return result


def _write_warnings(
    shape: Structure, fusion: Fusion | None, consensus: Float64, table: PairTable, labelled: Int64
) -> tuple[str, ...]:
    warnings = []
    gold = np.sign(table.gold[labelled])
    sure = (gold != 0) & (consensus[labelled] != 0)
    n, agree = int(sure.sum()), int(np.sum(sure & (np.sign(consensus[labelled]) == gold)))
    if fusion is None and (shape.divided or shape.dissent > _DISSENT):
        warnings.append(
            f"The panel holds two opinions (the second explains {shape.dissent:.0%} as much of the votes as the "
            "first) and labels of people do not say which is right, so the result may be worse than chance: have "
            "people label at least 20 pairs (`curate verify plan --budget 20`, then `curate verify annotate "
            "--annotator NAME`), and run `curate aggregate` again."
        )
    if n >= MIN_LABELS and is_worse_than_chance(agree, n):
        warnings.append(
            f"The consensus of the panel agrees with people on only {agree} of {n} labelled pairs: it is "
            "worse than chance here, so trust what was learnt from labels only as far as its guarantee."
        )
    elif n >= 2 * MIN_LABELS and agree < 0.6 * n:
        warnings.append(
            f"The consensus of the panel agrees with people on {agree} of {n} labelled pairs, hardly more "
            "than chance: trust the result only as far as its guarantee."
        )
    return tuple(warnings)


def is_worse_than_chance(successes: int, n: int, level: float = 0.05) -> bool:
    """Tell whether so few successes of n fair coins have a probability below `level`."""
    return compute_tail(successes, n) < level


class Panel(AnnotatorModel):
    """The default model: judges with habits who may err together, and the labels of people."""

    Options = PanelOptions

    def fit(self, votes: Votes, *, labels: PairLabels | None = None) -> AnnotatorFit:
        """Fit the model; see the function `fit`."""
        return fit(votes, labels=labels, options=self.options)
