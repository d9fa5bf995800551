"""What the votes say of each annotator, against sums written out pair by pair."""

from __future__ import annotations

from math import log
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.aggregate.annotator_stats import measure_annotators
from curate.aggregate.votes import Votes

JUDGES = 4
SIZES = (3, 2)
PAIRS = [(0, 1), (0, 2), (1, 2), (3, 4)]


def votes_of(rows, lengths=(5, 7, 7, 2, np.nan)):
    """`rows`: (pair, annotator, shown, p_a); the last annotator is a person."""
    rows = sorted(rows)
    column = [np.array(values) for values in zip(*rows, strict=True)] or [np.zeros(0, np.int64)] * 4
    pair, annotator, shown, p_a = column
    a, b = (np.array(PAIRS)[pair, side].astype(np.int32) for side in (0, 1))
    return Votes(
        offsets=np.concatenate(([0], np.cumsum(SIZES))),
        prompt=(a > 2).astype(np.int32),
        a=a,
        b=b,
        annotator=annotator.astype(np.int32),
        shown=shown.astype(np.int8),
        outcome=np.sign(p_a - 0.5).astype(np.int8),
        p_a=p_a.astype(np.float32),
        annotators=tuple(f"j{k}" for k in range(JUDGES)),
        human=np.arange(JUDGES) == JUDGES - 1,
        length=np.array(lengths, np.float32),
    )


def mean(values):
    return fmean(values) if values else None


def written_out(rows, lengths, judge):
    said = {}
    for pair, annotator, _, p in rows:
        said.setdefault((pair, annotator), []).append(p - 0.5)
    opinion = {key: fmean(values) for key, values in said.items()}
    agrees, with_people, longer, others_longer = [], [], [], []
    for (pair, annotator), own in opinion.items():
        if annotator != judge:
            continue
        others = {k: o for (q, k), o in opinion.items() if q == pair and k != judge}
        gap = lengths[PAIRS[pair][0]] - lengths[PAIRS[pair][1]]
        if abs(own) > 1e-6 and abs(sum(others.values())) > 1e-6:
            agrees.append(own * sum(others.values()) > 0)
        people = others.get(JUDGES - 1, 0.0)
        if abs(own) > 1e-6 and abs(people) > 1e-6:
            with_people.append(own * people > 0)
        if gap == gap and gap != 0:
            longer.append(np.sign(gap) * own)
            if others:
                others_longer.append(np.sign(gap) * fmean(others.values()))
    mine = [(shown, p) for _, annotator, shown, p in rows if annotator == judge]
    return {
        "ability": log((sum(agrees) + 0.5) / (len(agrees) - sum(agrees) + 0.5)),
        "position_bias": mean([shown * (p - 0.5) for shown, p in mine if shown]),
        "tie_rate": mean([p == 0.5 for _, p in mine]),
        "length_bias": None if not longer or not others_longer else fmean(longer) - fmean(others_longer),
        "agreement": mean(with_people),
    }


ROW = st.tuples(
    st.integers(0, len(PAIRS) - 1),
    st.integers(0, JUDGES - 1),
    st.sampled_from([-1, 0, 1]),
    st.sampled_from([0.0, 0.25, 0.5, 0.7, 0.3, 1.0]),
)


@given(st.lists(ROW, max_size=40))
def test_every_figure_is_that_of_the_sums_written_out(rows):
    lengths = (5.0, 7.0, 7.0, 2.0, float("nan"))
    for judge, row in enumerate(measure_annotators(votes_of(rows, lengths)).drop("annotator_id").to_dicts()):
        assert row == pytest.approx(written_out(rows, lengths, judge), abs=2e-6)


def test_what_cannot_be_said_is_null():
    rows = [(0, 0, 1, 1.0), (0, 0, -1, 1.0), (1, 1, 0, 0.5)]
    first, second, silent, _ = measure_annotators(votes_of(rows, [np.nan] * 5)).to_dicts()
    assert first["position_bias"] == 0.0
    assert first["agreement"] is None
    assert first["length_bias"] is None
    assert second["ability"] == 0.0
    assert second["tie_rate"] == 1.0
    assert second["position_bias"] is None
    assert silent["tie_rate"] is None
