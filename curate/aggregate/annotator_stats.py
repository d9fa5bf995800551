"""Statistics of each annotator without any model: agreement with the others and with people, and habits."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curate.aggregate.votes import Float32, Float64, Int8, Int32, Votes
from curate.core.kernels import compile_kernel

DIGITS = 6
_AGREES, _DIFFERS, _WITH_PEOPLE, _AGAINST_PEOPLE = 0, 1, 2, 3
_LONGER, _PAIRS_LONGER, _OTHERS_LONGER, _PAIRS_OTHERS = 4, 5, 6, 7
_FIRST, _SHOWN, _TIES, _VOTES = 8, 9, 10, 11
_SUMS = 12
_NOTHING = 1e-6
"""Probabilities are stored in single precision: what cancels out is smaller than this."""


def measure_annotators(votes: Votes) -> pl.DataFrame:
    """Measure each annotator of `votes`, which are in the order of `encode_votes`: one row per annotator.

    | column          | meaning, null where there is no evidence |
    | ---             | --- |
    | `ability`       | log-odds (half a vote of smoothing) of taking the side of the others' sum, where both take one |
    | `position_bias` | mean probability of the response shown first, less 1/2 |
    | `tie_rate`      | share of ties among the votes |
    | `length_bias`   | mean probability of the longer response, less that of the mean of the others |
    | `agreement`     | share of agreement with other people, where both take a side |

    All but the habits (`position_bias`, `tie_rate`) count one opinion per annotator and pair, the mean of its votes.
    """
    sums = np.zeros((len(votes.annotators), _SUMS))
    length = votes.length if len(votes.length) else np.full(votes.n_responses, np.nan, np.float32)
    _add_up(
        votes.a, votes.b, votes.annotator, votes.shown, votes.outcome, votes.p_a, votes.human, length, sums
    )
    column = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0: no evidence
        measured = {
            "ability": np.log((column[_AGREES] + 0.5) / (column[_DIFFERS] + 0.5)),
            "position_bias": column[_FIRST] / column[_SHOWN],
            "tie_rate": column[_TIES] / column[_VOTES],
            "length_bias": column[_LONGER] / column[_PAIRS_LONGER]
            - column[_OTHERS_LONGER] / column[_PAIRS_OTHERS],
            "agreement": column[_WITH_PEOPLE] / (column[_WITH_PEOPLE] + column[_AGAINST_PEOPLE]),
        }
    frame = pl.DataFrame(
        {"annotator_id": votes.annotators} | measured, schema_overrides={"annotator_id": pl.String}
    )
    return frame.with_columns(pl.exclude("annotator_id").round(DIGITS).fill_nan(None))


@compile_kernel
def _add_up(
    a: Int32, b: Int32, annotator: Int32, shown: Int8, outcome: Int8, p_a: Float32, human: NDArray[np.bool_],
    length: Float32, sums: Float64,
) -> None:  # fmt: skip
    judges_of_pair, opinion = np.empty(len(human), np.int64), np.empty(len(human))
    start, votes = 0, len(a)
    while start < votes:
        k, n, all_sum, people_sum = start, 0, 0.0, 0.0
        while k < votes and a[k] == a[start] and b[k] == b[start]:  # the opinions about one pair
            first, judge, mean = k, annotator[k], 0.0
            while k < votes and annotator[k] == judge and a[k] == a[start] and b[k] == b[start]:
                own = np.float64(p_a[k]) - 0.5
                mean += own
                sums[judge, _TIES] += outcome[k] == 0
                sums[judge, _VOTES] += 1
                if shown[k] != 0:
                    sums[judge, _FIRST] += shown[k] * own
                    sums[judge, _SHOWN] += 1
                k += 1
            judges_of_pair[n], opinion[n] = judge, mean / (k - first)
            all_sum += opinion[n]
            people_sum += opinion[n] if human[judge] else 0.0
            n += 1
        gap = length[a[start]] - length[b[start]]
        longer = 1.0 if gap > 0 else -1.0
        for i in range(n):
            judge, own = judges_of_pair[i], opinion[i]
            others, people = all_sum - own, people_sum - (own if human[judge] else 0.0)
            if abs(own) > _NOTHING and abs(others) > _NOTHING:
                sums[judge, _AGREES if own * others > 0 else _DIFFERS] += 1
            if abs(own) > _NOTHING and abs(people) > _NOTHING:
                sums[judge, _WITH_PEOPLE if own * people > 0 else _AGAINST_PEOPLE] += 1
            if gap > 0 or gap < 0:  # neither where a length is not known
                sums[judge, _LONGER] += longer * own
                sums[judge, _PAIRS_LONGER] += 1
                if n > 1:
                    sums[judge, _OTHERS_LONGER] += longer * others / (n - 1)
                    sums[judge, _PAIRS_OTHERS] += 1
        start = k
