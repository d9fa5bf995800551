"""Statements about pairs that judgments of all forms make: one definition for all stages.

The macro `pair_statements` (sql/macros/pair_statements.sql) says the same of the lake's judgments, and
tests/data/test_pair_statements.py holds the two together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import permutations
from typing import NamedTuple

from curate.data.judgments import JudgmentStatement, order_pair
from curate.records import Form, Kind, Outcome, Shown

_LOGISTIC_SCALE = 1.702  # brings the logistic curve within 0.01 of the normal one
_NO_VERDICT = ("abstain", "failed")
_PROBABILITIES: dict[Outcome, float] = {"a": 1.0, "b": 0.0, "tie": 0.5}


class PairStatement(NamedTuple):
    """Statement of an annotator about two responses, `a < b`; the other fields are those of the judgment."""

    prompt_id: str
    a: str
    b: str
    annotator_id: str
    kind: Kind
    revision: str
    sample: int
    form: Form
    outcome: Outcome
    shown: Shown | None = None
    p_a: float | None = None

    @property
    def probability(self) -> float | None:
        """Return the probability that a is better: `p_a`, else 1, 0 or ½ by the outcome; None without a verdict."""
        return _PROBABILITIES.get(self.outcome) if self.p_a is None else self.p_a


def list_pair_statements(judgments: Iterable[JudgmentStatement]) -> list[PairStatement]:
    """List what judgments say about pairs.

    - A pairwise judgment says what it says, failures and abstentions among them.
    - Two ratings of one annotator (name, kind and revision) and one sample say that the higher one is better, and equal
      ones tie. Ratings of different samples are not compared, nor averaged: each sample is a statement of its own. If
      both ratings have a standard deviation, and not both have 0, `p_a` is the probability that a's is the higher:
      the logistic curve of 1.702 times the difference over the root of the sum of squares. There is no order shown.
      Equal ratings that a person gave to `curate verify` say nothing: two that pass are not said to be equally good.
    - A list says of each two of its responses that the one with the higher score is better, or without scores the one
      that is earlier in the ranking; equal scores tie. Of a response that the ranking leaves out it says nothing.
      `shown` is the order of the two in the list, if that is known; there is no probability.
    - A rating or a list that failed or abstained says nothing.

    Args:
        judgments: Judgments that count (none that another one supersedes), in any order.

    Returns:
        The statements: first those of pairs and lists in the order of the judgments, then those of ratings.
    """
    statements: list[PairStatement] = []
    ratings: dict[tuple[str, str, Kind, str, int], list[JudgmentStatement]] = {}
    for judgment in judgments:
        if judgment.form == "pairwise":
            statements.append(_read_pair(order_pair(judgment)))
        elif judgment.outcome in _NO_VERDICT:
            continue
        elif judgment.form == "listwise":
            statements += _compare_list(judgment)
        elif judgment.score is not None:
            rater = (judgment.prompt_id, judgment.annotator_id, judgment.kind, judgment.revision)
            ratings.setdefault((*rater, judgment.sample), []).append(judgment)
    for rated in ratings.values():
        statements += _compare_ratings(rated)
    return statements


def _read_pair(judgment: JudgmentStatement) -> PairStatement:
    a, b = judgment.responses
    return _make_statement(judgment, a, b, judgment.outcome, judgment.shown, judgment.p_a)


def _compare_list(judgment: JudgmentStatement) -> Iterator[PairStatement]:
    ranking = judgment.ranking or ()
    listed = judgment.responses or ranking
    places = {response_id: place for place, response_id in enumerate(listed)}
    if judgment.scores is not None:
        scores = dict(zip(listed, judgment.scores, strict=True))
    else:
        scores = {
            response_id: -float(rank) for rank, response_id in enumerate(ranking) if response_id in places
        }
    for a, b in permutations(scores, 2):
        if a < b:
            order: Shown = "ab" if places[a] < places[b] else "ba"
            shown = order if judgment.responses else None
            yield _make_statement(judgment, a, b, _compare_scores(scores[a], scores[b]), shown, None)


def _compare_ratings(rated: list[JudgmentStatement]) -> Iterator[PairStatement]:
    for one, other in permutations(rated, 2):
        (a,), (b,) = one.responses, other.responses
        if a < b and one.score is not None and other.score is not None:
            if one.asked_as is not None and one.score == other.score:
                continue
            p_a = _compute_probability(one.score - other.score, one.score_sd, other.score_sd)
            yield _make_statement(one, a, b, _compare_scores(one.score, other.score), None, p_a)


def _compare_scores(a: float, b: float) -> Outcome:
    return "a" if a > b else "b" if a < b else "tie"


def _compute_probability(difference: float, sd_a: float | None, sd_b: float | None) -> float | None:
    """Compute the probability that a rating is higher than another one, from their difference and spreads."""
    if sd_a is None or sd_b is None:
        return None
    spread = math.sqrt(sd_a * sd_a + sd_b * sd_b)
    if spread == 0:
        return None
    deviations = _LOGISTIC_SCALE * difference / spread
    odds = math.exp(-abs(deviations))  # never above 1, however far apart they are
    return 1 / (1 + odds) if deviations >= 0 else odds / (1 + odds)


def _make_statement(
    judgment: JudgmentStatement, a: str, b: str, outcome: Outcome, shown: Shown | None, p_a: float | None
) -> PairStatement:
    return PairStatement(
        judgment.prompt_id,
        a,
        b,
        judgment.annotator_id,
        judgment.kind,
        judgment.revision,
        judgment.sample,
        judgment.form,
        outcome,
        shown,
        p_a,
    )
