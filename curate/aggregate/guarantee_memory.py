"""The memory of the guarantee: which labels of people tested which revision of the panel's labels.

A *revision* is one held-out result: the label and the confidence of each pair. It is fixed before anybody looks at the
labels that test it, and each label tests once. A new revision learns from the labels that have been used before, from
those that were not drawn at random, and from a share of the new ones; the rest of the new ones test it, and so do all
later ones. A pair whose label changes later is not accepted any more, and new pairs wait for the next revision, which
begins when they are many.

Since nothing that a revision depends on tests it, it may be replaced at any time and for any reason. It hands on what
is left of its wealth, and never more than it started with: so all revisions together make a false promise with
probability delta at most.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from curate.aggregate.certify import HeldOutResult
from curate.aggregate.human_votes import People
from curate.aggregate.votes import Float64, Int8, Int64

Bool = NDArray[np.bool_]
FEWEST_LEARNT = 20
"""Labels that the first revision of a model that learns must have learnt from: a poor one would waste the test."""
MOST_CHANGED = 0.1
"""A revision stays under test as long as at most this share of its pairs is labelled otherwise since, or is new."""
RETIRE = 4
"""A revision without a gain retires when there are this many times the labels that it learnt from."""


def _no_pairs() -> Int64:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestedRevision:
    """The labels under test, as they were when the test began.

    `pairs` int64[R], ascending; `direction` int8[R]; `p_a` float64[R]; `stratum` int64[R] indexes `strata`.
    """

    __test__ = False  # nothing for pytest

    pairs: Int64
    direction: Int8
    p_a: Float64
    stratum: Int64
    strata: tuple[str, ...]

    @classmethod
    def of(cls, held_out: HeldOutResult, pairs: Int64) -> TestedRevision:
        """Take the open pairs of a held-out result, whose E pairs have the numbers `pairs`."""
        rows = np.flatnonzero(held_out.is_open)
        return cls(
            pairs=pairs[rows],
            direction=held_out.direction[rows],
            p_a=held_out.p_a[rows],
            stratum=held_out.stratum[rows],
            strata=held_out.strata,
        )

    def find_changes(self, held_out: HeldOutResult, pairs: Int64) -> Bool | None:
        """Mark the pairs that are labelled otherwise now, bool[E]; None if the labels are too different to be the same.

        Args:
            held_out: The result now, without the labels that test this revision.
            pairs: int64[E], the numbers of its pairs, ascending.
        """
        rows = np.minimum(np.searchsorted(pairs, self.pairs), len(pairs) - 1)
        if not np.array_equal(pairs[rows], self.pairs):
            return None
        changed = np.zeros(len(pairs), np.bool_)
        changed[rows] = (held_out.direction[rows] != self.direction) | ~held_out.is_open[rows]
        new = int(held_out.is_open.sum()) - int(held_out.is_open[rows].sum())
        return changed if int(changed.sum()) + new <= MOST_CHANGED * len(self.pairs) else None

    def restore(self, pairs: Int64) -> HeldOutResult:
        """Rebuild the held-out result as rows of the pairs with the numbers `pairs`, int64[E]."""
        rows = np.searchsorted(pairs, self.pairs)
        p_a, direction = np.full(len(pairs), 0.5), np.zeros(len(pairs), np.int8)
        is_open, stratum = np.zeros(len(pairs), np.bool_), np.zeros(len(pairs), np.int64)
        p_a[rows], direction[rows], is_open[rows], stratum[rows] = (
            self.p_a,
            self.direction,
            True,
            self.stratum,
        )
        return HeldOutResult(
            p_a=p_a, direction=direction, is_open=is_open, stratum=stratum, strata=self.strata
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GuaranteeMemory:
    """The test of one label set, with pairs numbered as in `People`.

    | field      | meaning |
    | ---        | --- |
    | `scope`    | identifies what is promised: the settings of the guarantee |
    | `revision` | number of the revision under test, 0 before the first |
    | `identity` | the `scope` that it began with, "" where it has retired |
    | `labels`   | its labels |
    | `share`    | share of delta that this label set may use, given the others |
    | `start`    | wealth that the revision started with, 1: all of delta |
    | `left`     | factor that is left of it for the next revision, at most 1 |
    | `looks`    | how often its test has been looked at |
    | `learnt`   | int64, pairs that it learnt from |
    | `tested`   | int64, pairs that tested it, in their order |
    | `agrees`   | int8, how: 1 agrees, -1 disagrees, 0 does not count |
    | `used`     | int64, pairs that tested earlier revisions |
    | `lead`, `holds` | the factor that was gained, and whether there was a promise |
    """

    scope: str = "-"
    revision: int = 0
    identity: str = ""
    labels: TestedRevision | None = None
    share: float = 1.0
    start: float = 1.0
    left: float = 1.0
    looks: int = 0
    learnt: Int64 = field(default_factory=_no_pairs)
    tested: Int64 = field(default_factory=_no_pairs)
    agrees: Int8 = field(default_factory=lambda: np.zeros(0, np.int8))
    used: Int64 = field(default_factory=_no_pairs)
    lead: float = 0.0
    holds: bool = False

    @property
    def spent(self) -> Int64:
        """List the pairs whose labels have been used, and which only later revisions may learn from."""
        spent: Int64 = np.unique(np.concatenate([self.learnt, self.tested, self.used]))
        return spent

    def find_hidden(self, people: People) -> Bool:
        """Mark the labels that the current revision did not learn from, bool[L]."""
        hidden: Bool = ~np.isin(people.pairs, self.learnt)
        return hidden

    def limit_share(self, share: float) -> GuaranteeMemory:
        """Retire the revision if the label set must share delta with one more from now on."""
        if share >= self.share:
            return self
        start = self.start * share / self.share
        return replace(self, share=share, start=start, identity="")

    def add_labels(self, people: People, allowed: Bool) -> GuaranteeMemory:
        """Let all labels test that were drawn at random and have not been used, in an order that is blind to them.

        Args:
            people: The verdicts of people.
            allowed: bool[L], labels that may test: those of pairs that the revision is about.
        """
        new = people.is_drawn & allowed & ~np.isin(people.pairs, self.spent)
        rows = np.flatnonzero(new)
        rows = rows[np.argsort(people.coin[rows], kind="stable")]
        return replace(
            self,
            tested=np.concatenate([self.tested, people.pairs[rows]]),
            agrees=np.concatenate([self.agrees, np.zeros(len(rows), np.int8)]),
            looks=self.looks + 1,
        )

    def split_labels(self, people: People, learn: float) -> Bool:
        """Mark the labels that a new revision may not see, since they are to test it: bool[L]."""
        fresh = people.is_drawn & ~np.isin(people.pairs, self.spent)
        return fresh & (people.coin >= learn)

    def begin_revision(self, labels: TestedRevision, learnt: Int64) -> GuaranteeMemory:
        """Begin a new revision, with what the last one has left."""
        return replace(
            self,
            revision=self.revision + 1,
            identity=self.scope,
            labels=labels,
            start=self.start * min(self.left, 1.0),
            left=1.0,
            looks=0,
            learnt=np.sort(learnt),
            tested=_no_pairs(),
            agrees=np.zeros(0, np.int8),
            used=np.setdiff1d(self.spent, learnt),
            lead=0.0,
            holds=False,
        )

    def note_agreement(self, people: People, agrees: Int8) -> GuaranteeMemory:
        """Note how the labels agree now; one that people took back keeps what it was when it was last seen.

        Args:
            people: The verdicts of people.
            agrees: int8[L], 1, -1 or 0 as for `agrees`.
        """
        if not len(people):
            return self
        place = np.minimum(np.searchsorted(people.pairs, self.tested), len(people) - 1)
        known = people.pairs[place] == self.tested
        return replace(self, agrees=np.where(known, agrees[place], self.agrees).astype(np.int8))


def is_due_to_retire(memory: GuaranteeMemory, labels: int) -> bool:
    """Tell whether a new revision would likely be better: this one gains nothing and learnt from few labels."""
    return (
        not memory.holds and memory.lead <= 1.0 and labels >= RETIRE * max(len(memory.learnt), FEWEST_LEARNT)
    )
