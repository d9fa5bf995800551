"""The order in which a joint model reads the responses to a prompt, and what that order changes.

A response of a joint sequence sees those before it, so its score depends on the order. A protocol names the orders that
are scored; scores are averaged over them:

| protocol    | orders | tokens |
| ---         | ---    | --- |
| `one`       | one random order | the prompt's and the responses' |
| `average:K` | K random orders; every second one reverses the one before it | the responses' K times |
| `rotations` | a random order and all its rotations: each response stands once in each place | N times |

An order is random by a hash of the prompt's and the responses' content: the same texts are read in the same order in
every run, in whatever order they are given. Equal responses get equal scores.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

import numpy as np
from numpy.typing import NDArray

from curate.config.response_order import ORDER_PATTERN
from curate.core.errors import CurateError

Float64 = NDArray[np.float64]
Order = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OrderProtocol:
    """Orders of responses that are scored; `count` is the K of `average`."""

    name: str = "one"
    count: int = 1

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Read `one`, `average:K` or `rotations`; None is `one`.

        Raises:
            CurateError: It is none of them.
        """
        if text is None:
            return cls()
        if re.fullmatch(ORDER_PATTERN, text) is None:
            raise CurateError(
                f"The order {text!r} is not known: take one, average:K (K orders, say average:4) or rotations."
            )
        name, _, count = text.partition(":")
        return cls(name, int(count or 1))

    def __str__(self) -> str:
        return f"{self.name}:{self.count}" if self.name == "average" else self.name

    def list_orders(self, prompt: bytes, responses: Sequence[bytes]) -> list[Order]:
        """List the orders in which the N responses to a prompt are read.

        Args:
            prompt: Content of the prompt.
            responses: Content of each response.

        Returns:
            Orders, each with the numbers of all responses.
        """
        first = _shuffle(prompt, responses, 0)
        if self.name == "rotations":
            return [first[start:] + first[:start] for start in range(len(first))]
        drawn = [_shuffle(prompt, responses, number) for number in range(0, self.count, 2)]
        return [order[::step] for order in drawn for step in (1, -1)][: self.count]


def _shuffle(prompt: bytes, responses: Sequence[bytes], number: int) -> Order:
    """Return random order `number` of some responses, which depends on their content alone."""
    key = blake2b(prompt, digest_size=16, salt=number.to_bytes(8, "big")).digest()
    digests = [blake2b(response, digest_size=16, key=key).digest() for response in responses]
    return tuple(sorted(range(len(responses)), key=lambda slot: (digests[slot], slot)))


@dataclass(slots=True)
class OrderEffect:
    """Counts of what the order changed, over all prompts that were scored in several orders.

    Attributes:
        prompts: Prompts with several responses that were scored in several orders.
        other_best: Those whose best response is another one in some of the orders.
        pairs: Pairs of responses to one prompt.
        turned: Those whose order of scores is another one in some of the orders.
        within: Sum of the variances of a response's score over the orders.
        between: Sum of the variances of the mean scores over a prompt's responses.
    """

    prompts: int = 0
    other_best: int = 0
    pairs: int = 0
    turned: int = 0
    within: float = 0.0
    between: float = 0.0

    def add(self, scores: Float64) -> None:
        """Count the scores float64[K, N] of one prompt's N responses in K orders."""
        if min(scores.shape) < 2:
            return
        first, second = np.triu_indices(scores.shape[1], k=1)
        signs = np.sign(scores[:, first] - scores[:, second])
        self.prompts += 1
        self.other_best += len(set(scores.argmax(axis=1).tolist())) > 1
        self.pairs += len(first)
        self.turned += int((signs != signs[0]).any(axis=0).sum())
        self.within += float(scores.var(axis=0).mean())
        self.between += float(scores.mean(axis=0).var())

    @property
    def ratio(self) -> float:
        """Standard deviation of a score over orders, in standard deviations between a prompt's responses."""
        return float(np.sqrt(self.within / self.between)) if self.between else 0.0

    def describe(self) -> str:
        """Return what the order changed as words; "" where nothing was scored in several orders."""
        if not self.prompts:
            return ""
        return (
            f"by the order of the responses, {self.other_best / self.prompts:.1%} of {self.prompts:,} prompts change "
            f"their best response and {self.turned / self.pairs:.1%} of {self.pairs:,} pairs turn around; a score's "
            f"standard deviation over orders is {self.ratio:.2f} × that between responses"
        )
