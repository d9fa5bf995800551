"""Is the guarantee kept? Label draws on recorded panels with gold, and on synthetic panels with known truth.

    PYTHONPATH=. python bench/guarantee.py [--draws 200] [--synthetic 500] [--first-seed 0] [--only TEXT]
    PYTHONPATH=. python bench/guarantee.py --looks

Each draw lets a person label random pairs as the gold says, adds these votes to the panel's, and runs what
`curate aggregate` runs (`conclude`), with every fit, the split of the labels and the graphs of that draw. Counted is
what it ships as accepted, against the gold of pairs that the person was not asked about: how often more than α of it
is wrong, which may happen in δ of the draws at most. A draw that gives no guarantee promises nothing and breaks
nothing; how many do is in the table. Gold ties count as people who see no difference (`ties: ignore`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import looks
import numpy as np
import panels
import synthetic
from numpy.typing import NDArray

from curate.aggregate.annotator_reliability import estimate_reliability
from curate.aggregate.calibration import compute_calibration_error
from curate.aggregate.human_votes import People, collect_verdicts
from curate.aggregate.labelling import Labelling, label_pairs
from curate.aggregate.posterior import pair_ids
from curate.aggregate.strata import group_by_agreement
from curate.aggregate.votes import Votes
from curate.config.aggregate import AggregateSection

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Truth:
    """`pair` int64[Q] as `People.pairs` numbers them, ascending; `gold` float64[Q] in -1, 0, 1."""

    votes: Votes
    pair: Int64
    gold: Float64


def labelled(truth: Truth, labels: int, rng: np.random.Generator) -> tuple[Votes, People]:
    """The votes with those of a person on random pairs."""
    votes = truth.votes
    chosen = np.sort(rng.permutation(len(truth.pair))[:labels])
    a, b = truth.pair[chosen] // votes.n_responses, truth.pair[chosen] % votes.n_responses
    prompt = np.searchsorted(votes.offsets, a, side="right") - 1
    outcome = truth.gold[chosen]
    added = {
        "prompt": prompt,
        "a": a,
        "b": b,
        "annotator": np.full(labels, len(votes.annotators)),
        "shown": np.zeros(labels),
        "outcome": outcome,
        "p_a": (1 + outcome) / 2,
    }
    order = np.argsort(np.concatenate([votes.prompt, prompt]), kind="stable")
    columns = {
        name: np.concatenate([getattr(votes, name), new.astype(getattr(votes, name).dtype)])[order]
        for name, new in added.items()
    }
    together = replace(
        votes, **columns, annotators=(*votes.annotators, "person"), human=np.append(votes.human, True)
    )
    pairs, verdict = collect_verdicts(together, estimate_reliability(together))
    people = People(
        pairs=pairs,
        verdict=verdict,
        is_drawn=np.ones(len(pairs), np.bool_),
        coin=rng.random(len(pairs)),
        is_random_sample=True,
    )
    return together, people


@dataclass(frozen=True, slots=True)
class Draw:
    """`wrong` of the `shipped` labels; `ece` of all pairs that the person did not judge."""

    holds: bool
    shipped: float
    wrong: float
    ece: float


def draw(truth: Truth, labels: int, section: AggregateSection, rng: np.random.Generator) -> Draw:
    votes, people = labelled(truth, labels, rng)
    strata = {"strata": lambda pairs: group_by_agreement(votes, pairs)}
    by = section.guarantee is not None and section.guarantee.strata == "agreement"
    found = label_pairs(votes, people, section, **(strata if by else {}))
    return measured(found, truth, people)


def measured(found: Labelling, truth: Truth, people: People) -> Draw:
    pair = pair_ids(found.posterior.tally)
    at = np.searchsorted(pair, truth.pair)
    gold = np.full(len(pair), np.nan)
    gold[at] = truth.gold
    gold[np.isin(pair, people.pairs)] = np.nan
    shipped = found.is_accepted & (found.graphs.direction != 0)
    judged = shipped & ~np.isnan(gold) & (gold != 0)
    rest = ~np.isnan(gold) & (gold != 0)
    holds = found.certification is not None and found.certification.holds
    return Draw(
        holds=holds,
        shipped=float(shipped.sum() / max((~np.isnan(gold)).sum(), 1)),
        wrong=float(np.mean(gold[judged] != found.graphs.direction[judged])) if judged.any() else 0.0,
        ece=compute_calibration_error(found.p_a[rest], (1 + gold[rest]) / 2),
    )


def recorded(panel: panels.RecordedPanel) -> Truth:
    """The panel on its pairs with gold."""
    pair = panel.a.astype(np.int64) * panel.votes.n_responses + panel.b
    known = ~np.isnan(panel.gold)
    votes = panel.votes
    kept = np.isin(votes.a.astype(np.int64) * votes.n_responses + votes.b, pair[known])
    names = ("prompt", "a", "b", "annotator", "shown", "outcome", "p_a")
    return Truth(
        replace(votes, **{name: getattr(votes, name)[kept] for name in names}), pair[known], panel.gold[known]
    )


def synthetic_truth(rng: np.random.Generator) -> Truth:
    """1,000 pairs judged by five weak judges."""
    design = synthetic.Design(
        pairs=1000, judges=5, groups=0, shared=0, missing=0.3, dead_zone=0.2, position_sd=0.5, high=1.5
    )
    made = synthetic.draw(design, rng)
    prompt = np.unique(made.votes.prompt).astype(np.int64)
    return Truth(made.votes, 2 * prompt * made.votes.n_responses + 2 * prompt + 1, made.truth[prompt])


def run(
    name: str,
    make: Callable[[np.random.Generator], Truth],
    labels: int,
    seeds: range,
    **settings: object,
) -> None:
    section = AggregateSection.model_validate(settings)
    asked = section.guarantee
    assert asked is not None
    started = time.perf_counter()
    rows, draws = [], len(seeds)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        rows.append(draw(make(rng), labels, section, rng))
    held = [row for row in rows if row.holds]
    broken = sum(row.wrong > asked.alpha for row in held)
    print(
        f"{name:14s} {section.annotator_model:9s} {asked.strata:9s} {asked.alpha:5.2f} {labels:5d} {draws:5d}  "
        f"{len(held) / draws:6.1%}  {np.mean([row.shipped if row.holds else 0.0 for row in rows]):8.1%}  "
        f"{np.mean([row.wrong for row in held]) if held else float('nan'):6.1%}  {1 - broken / draws:7.1%}  "
        f"{np.mean([row.ece for row in rows]):.3f}  {(time.perf_counter() - started) / draws:6.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--synthetic", type=int, default=500)
    parser.add_argument(
        "--first-seed", type=int, default=0, help="of the draws, which can so be made in pieces: 0, 100, …"
    )
    parser.add_argument("--only", default="")
    parser.add_argument("--looks", action="store_true", help="promises at every look instead: bench/looks.py")
    arguments = parser.parse_args()
    if arguments.looks:
        looks.run_looks(arguments.synthetic, arguments.first_seed)
        return
    print("delta = 0.1; accepted and wrong are means over draws; kept: not broken\n")
    print(
        "panel          model     strata    alpha labels draws   holds  accepted   wrong     kept    ECE  s/draw"
    )
    prd, ukp = cache(lambda: recorded(panels.prd())), cache(lambda: recorded(panels.ukp()))
    agreement, looser = {"guarantee": {"strata": "agreement"}}, {"guarantee": {"alpha": 0.2}}
    for name, make, labels, draws, settings in (
        ("PRD", lambda _: prd(), 200, arguments.draws, {"annotator_model": "majority"}),
        ("PRD", lambda _: prd(), 200, arguments.draws, {"annotator_model": "one_coin"}),
        ("PRD", lambda _: prd(), 200, arguments.draws, {"annotator_model": "panel"}),
        ("PRD", lambda _: prd(), 200, arguments.draws, {"annotator_model": "majority", **agreement}),
        ("PRD", lambda _: prd(), 200, arguments.draws, {"annotator_model": "majority", **looser}),
        ("PRD", lambda _: prd(), 200, arguments.draws, {"annotator_model": "one_coin", **looser}),
        ("UKP", lambda _: ukp(), 200, arguments.draws, {"annotator_model": "majority"}),
        ("UKP", lambda _: ukp(), 200, arguments.draws, {"annotator_model": "one_coin"}),
        ("UKP", lambda _: ukp(), 200, arguments.draws, {"annotator_model": "panel"}),
        ("synthetic", synthetic_truth, 200, arguments.synthetic, {"annotator_model": "majority"}),
        ("synthetic", synthetic_truth, 200, arguments.synthetic, {"annotator_model": "panel"}),
    ):
        title = f"{name} {settings['annotator_model']}"
        if arguments.only in title:
            seeds = range(arguments.first_seed, arguments.first_seed + draws)
            run(name, make, labels, seeds, **settings)


if __name__ == "__main__":
    main()
