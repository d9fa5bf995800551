"""Quality of people's work: gold questions, repeats, speed, agreement. Numbers only; nobody is left out for them.

What is flagged is for people to look at: every verdict stays, and what it weighs is the annotator model's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.stats.agreement import (
    AgreementEstimate,
    bootstrap_agreement,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
)
from curate.stats.intervals import wilson_interval

VERDICTS = 3  # b, tie, a
FAST_SHARE = 0.1
MIN_GOLD = 5
MIN_COMMON = 10
MOST_COMPARED = 50  # people whose kappas are computed two by two
_UNIT = ("prompt_id", "response_a", "response_b", "about")


@dataclass(frozen=True, slots=True)
class Share:
    """`right` of `n`, with its 95 % interval."""

    right: int
    n: int

    @property
    def value(self) -> float:
        return self.right / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.right, self.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonQuality:
    """One annotator's answers; a ranking or a rubric is one answer and gives several verdicts.

    `gold`: agreement with the others' verdict on gold questions; `peers`: the same on all pairs
    with a clear verdict of others; `itself`: the same answer when asked again; `seconds`: median; `fast`: answers
    that came too fast, of those with a known time; `flags`: what to look at, one phrase each.
    """

    annotator_id: str
    answers: int
    skipped: int
    gold: Share
    peers: Share
    itself: Share
    seconds: float
    fast: Share
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Agreement of people, one by one and together.

    `alpha`: nominal, by category and for "all"; `ordered`: interval alpha with ties half-way; `cohen`: kappa of
    each two people with at least ten verdicts in common and how many these are; `fast_below`: seconds, for pairs;
    `pair_verdicts`: verdicts on pairs.
    """

    people: tuple[PersonQuality, ...]
    alpha: dict[str, AgreementEstimate]
    ordered: AgreementEstimate
    fleiss: AgreementEstimate
    cohen: dict[tuple[str, str], tuple[float, int]]
    fast_below: float
    disputed: int
    pair_verdicts: int


def measure_quality(lake: Lake, *, fast: float = 3.0) -> Quality:
    """Measure the quality of people's work on their verdicts as they stand. `fast`: see `too_fast_below`."""
    rows = lake.frame(read_query("verify_verdicts"))
    unit = rows.select(pl.struct(_UNIT).rank("dense")).to_series().to_numpy().astype(np.int64) - 1
    person = rows["annotator_id"].rank("dense").to_numpy().astype(np.int64) - 1
    verdict = rows["verdict"].fill_null(-1).to_numpy().astype(np.int64)
    gold = rows["gold"].to_numpy().astype(np.bool_)
    seconds = rows["seconds"].fill_null(float("nan")).to_numpy().astype(np.float64)
    forms = rows["asked_as"].to_numpy()
    below = np.full(rows.height, np.nan)
    for form in np.unique(forms):  # a pass or fail takes less time than a pair
        below[forms == form] = too_fast_below(seconds[forms == form], fast)
    judgment = rows["judgment_id"].rank("dense").to_numpy().astype(np.int64)
    names = rows["annotator_id"].unique().sort().to_list()
    voted = verdict >= 0
    counts = _count_verdicts(unit[voted], verdict[voted], int(unit.max(initial=-1)) + 1)
    others = _agree_with_others(unit, person, verdict, counts)
    people = tuple(
        _measure_person(name, person == i, unit, verdict, gold, others, seconds, below, judgment)
        for i, name in enumerate(names)
    )
    first = _first_verdicts(unit, person, verdict)
    first_counts = _count_verdicts(unit[first], verdict[first], len(counts))
    most = first_counts.max(axis=1, initial=0)
    size = first_counts.sum(axis=1)
    category = np.empty(len(counts), object)
    category[unit] = rows["category"].to_numpy()
    is_pair = (rows["response_b"] != "").to_numpy()
    pair_units = np.zeros(len(counts), np.bool_)
    pair_units[unit] = is_pair
    return Quality(
        people=people,
        alpha={
            name: bootstrap_agreement(krippendorff_alpha, first_counts[chosen])
            for name, chosen in _agree_by_category(category, size > 1)
        },
        ordered=bootstrap_agreement(
            lambda counts: krippendorff_alpha(counts, np.array([-1.0, 0.0, 1.0])), first_counts
        ),
        fleiss=bootstrap_agreement(fleiss_kappa, first_counts),
        cohen=_cohen_of_pairs(names, unit[first], person[first], verdict[first]),
        fast_below=float(below[forms == "pairwise"][0]) if (forms == "pairwise").any() else float("nan"),
        disputed=int(np.sum(pair_units & (size > 1) & (2 * most <= size))),
        pair_verdicts=int(np.sum(voted & is_pair)),
    )


def too_fast_below(seconds: NDArray[np.float64], deviations: float) -> float:
    """exp(median - deviations · 1.4826 · MAD) of all known log times, in seconds; NaN for fewer than ten.

    Times are about log-normal, and the median and the median absolute deviation stand up to almost half of them being
    hurried.
    """
    log = np.log(seconds[seconds > 0])
    if len(log) < 10:
        return float("nan")
    middle = float(np.median(log))
    spread = 1.4826 * float(np.median(np.abs(log - middle)))
    return float(np.exp(middle - deviations * spread)) * (1 - 1e-9)  # equal times are not too fast


def _measure_person(
    name: str,
    is_person: NDArray[np.bool_],
    unit: NDArray[np.int64],
    verdict: NDArray[np.int64],
    gold: NDArray[np.bool_],
    others: NDArray[np.int64],
    seconds: NDArray[np.float64],
    below: NDArray[np.float64],
    judgment: NDArray[np.int64],
) -> PersonQuality:
    voted = is_person & (verdict >= 0)
    judged = voted & (others >= 0)
    timed = voted & (seconds > 0)
    tested = Share(int(np.sum(judged & gold & (verdict == others))), int(np.sum(judged & gold)))
    peers = Share(int(np.sum(judged & (verdict == others))), int(judged.sum()))
    fast = Share(int(np.sum(seconds[timed] < below[timed])), int(timed.sum()))
    itself = _agree_with_self(unit[voted], verdict[voted])
    flags = []
    if fast.n >= MIN_GOLD and fast.value > FAST_SHARE:
        limits = " or ".join(f"{limit:.1f}" for limit in np.unique(below[timed & (seconds < below)]))
        flags.append(f"{fast.value:.0%} of the answers took less than {limits} s")
    if tested.n >= MIN_GOLD and tested.interval[1] < 0.75:
        flags.append(f"{tested.right} of {tested.n} gold questions right")
    if itself.n >= MIN_GOLD and itself.value < 0.7:
        flags.append(f"{itself.right} of {itself.n} repeated questions answered the same")
    return PersonQuality(
        annotator_id=name,
        answers=len(np.unique(judgment[voted])),
        skipped=int(np.sum(is_person & (verdict < 0))),
        gold=tested,
        peers=peers,
        itself=itself,
        seconds=float(np.median(seconds[timed])) if timed.any() else float("nan"),
        fast=fast,
        flags=tuple(flags),
    )


def _count_verdicts(unit: NDArray[np.int64], verdict: NDArray[np.int64], units: int) -> NDArray[np.int64]:
    flat = np.bincount(unit * VERDICTS + verdict, minlength=units * VERDICTS)
    return flat.reshape(units, VERDICTS).astype(np.int64)


def _agree_with_others(
    unit: NDArray[np.int64], person: NDArray[np.int64], verdict: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Find the verdict of more than half of the other people on the pair, int64[rows]; -1 where there is none."""
    people = int(person.max(initial=0)) + 1
    cell = unit * people + person
    _, at = np.unique(cell, return_inverse=True)
    own = np.zeros((int(at.max(initial=-1)) + 1, VERDICTS), np.int64)
    voted = verdict >= 0
    np.add.at(own, (at[voted], verdict[voted]), 1)
    rest = counts[unit] - own[at]
    best = rest.argmax(axis=1)
    clear = 2 * rest.max(axis=1) > rest.sum(axis=1)
    return np.where(clear, best, -1)


def _agree_with_self(unit: NDArray[np.int64], verdict: NDArray[np.int64]) -> Share:
    """Count the pairs that one person answered more than once, and those that always got the same verdict."""
    counts = _count_verdicts(unit, verdict, int(unit.max(initial=-1)) + 1)
    again = counts.sum(axis=1) > 1
    return Share(int(np.sum(counts[again].max(axis=1) == counts[again].sum(axis=1))), int(again.sum()))


def _first_verdicts(
    unit: NDArray[np.int64], person: NDArray[np.int64], verdict: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Rows with the first verdict of each person on each pair: a repeat is no further person."""
    voted = np.flatnonzero(verdict >= 0)
    people = int(person.max(initial=0)) + 1
    _, first = np.unique(unit[voted] * people + person[voted], return_index=True)
    rows: NDArray[np.int64] = voted[first]
    return rows


def _agree_by_category(
    category: NDArray[np.object_], wanted: NDArray[np.bool_]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    yield "all", wanted
    names = sorted({str(name) for name in category[wanted]})
    if len(names) > 1:
        for name in names:
            yield name, wanted & (category == name)


def _cohen_of_pairs(
    names: list[str], unit: NDArray[np.int64], person: NDArray[np.int64], verdict: NDArray[np.int64]
) -> dict[tuple[str, str], tuple[float, int]]:
    busiest = np.sort(np.argsort(-np.bincount(person, minlength=len(names)), kind="stable")[:MOST_COMPARED])
    verdicts = {
        i: dict(zip(unit[person == i].tolist(), verdict[person == i].tolist(), strict=True))
        for i in busiest.tolist()
    }
    kappas = {}
    for i, j in combinations(verdicts, 2):
        common = sorted(verdicts[i].keys() & verdicts[j].keys())
        if len(common) >= MIN_COMMON:
            first, second = (np.array([verdicts[k][u] for u in common], np.int64) for k in (i, j))
            kappas[names[i], names[j]] = (cohen_kappa(first, second, VERDICTS), len(common))
    return kappas
