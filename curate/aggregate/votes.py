"""All pairwise statements of all prompts as flat arrays: what every aggregation kernel reads."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Int8 = NDArray[np.int8]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def _no_lengths() -> Float32:
    return np.empty(0, np.float32)


def _no_authors() -> Int32:
    return np.empty(0, np.int32)


def _all_alike() -> Float64:
    return np.empty(0, np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """Pairwise judgments, sorted by prompt; abstentions and failures are not votes and never get here.

    | field       | type       | meaning |
    | ---         | ---        | --- |
    | `offsets`   | int64[P+1] | responses of prompt i are `offsets[i] … offsets[i+1]-1` (global response index) |
    | `prompt`    | int32[V]   | prompt index, ascending |
    | `a`, `b`    | int32[V]   | global response indexes of the pair, always `a < b` |
    | `annotator` | int32[V]   | 0 … len(annotators)-1 |
    | `shown`     | int8[V]    | +1 the pair was shown as a, b; -1 as b, a; 0 order unknown or without meaning |
    | `outcome`   | int8[V]    | +1 a is better, -1 b is better, 0 tie |
    | `p_a`       | float32[V] | the annotator's probability that a is better; 1, 0 or ½ where it gave only an outcome |
    | `annotators`| tuple[str] | annotator ids |
    | `human`     | bool[A]    | which annotators are people whose word is gold |
    | `length`    | float32[R] | response lengths in characters, for the verbosity bias; empty when not known |
    | `trust`     | float64[A] | weight of each person's word among people (`annotator_reliability`); empty: all alike |
    | `author`    | int32[R]   | which model wrote each response; empty when not known |
    """

    offsets: Int64
    prompt: Int32
    a: Int32
    b: Int32
    annotator: Int32
    shown: Int8
    outcome: Int8
    p_a: Float32
    annotators: tuple[str, ...]
    human: NDArray[np.bool_]
    length: Float32 = field(default_factory=_no_lengths)
    trust: Float64 = field(default_factory=_all_alike)
    author: Int32 = field(default_factory=_no_authors)

    @property
    def n_prompts(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_responses(self) -> int:
        return int(self.offsets[-1])

    @property
    def human_rows(self) -> Int64:
        """Which votes are people's, ascending."""
        return np.flatnonzero(self.human[self.annotator]) if self.human.any() else np.empty(0, np.int64)

    def pair_keys(self, at: Int64 | NDArray[np.bool_] | slice = slice(None)) -> Int64:
        """Return a · responses + b of the votes `at`: one number a pair, in the order of the pairs."""
        keys: Int64 = self.a[at].astype(np.int64) * self.n_responses + self.b[at]
        return keys

    def select(self, kept: NDArray[np.bool_]) -> Votes:
        """The votes marked in `kept` bool[V]; prompts, responses and annotators keep their numbers."""
        columns = ("prompt", "a", "b", "annotator", "shown", "outcome", "p_a")
        return replace(self, **{name: getattr(self, name)[kept] for name in columns})

    def __len__(self) -> int:
        return len(self.prompt)
