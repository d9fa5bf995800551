"""Labelled pairs with reasons, as texts: what criteria are extracted from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from curate.core.identity import content_id


@dataclass(frozen=True, slots=True)
class Reason:
    """Why somebody prefers a response, in their words; `about` says which response they call what."""

    text: str
    about: str = ""


@dataclass(frozen=True)
class LabelledPair:
    """A prompt with two responses, of which one is known to be better."""

    prompt_id: str
    request: str
    better: str
    worse: str
    reasons: tuple[Reason, ...] = ()

    @cached_property
    def pair_id(self) -> str:
        return content_id("pair", self.prompt_id, self.better, self.worse)

    @property
    def is_better_first(self) -> bool:
        """Tell whether the better response is shown first: drawn from the texts, so always the same."""
        return int(self.pair_id[:8], 16) % 2 == 0

    @property
    def shown(self) -> tuple[str, str]:
        """The responses as they are shown: A and B."""
        return (self.better, self.worse) if self.is_better_first else (self.worse, self.better)


@dataclass(frozen=True)
class PromptCase:
    """A prompt with its labelled pairs."""

    prompt_id: str
    pairs: tuple[LabelledPair, ...]

    @property
    def request(self) -> str:
        return self.pairs[0].request

    def rank_responses(self, most: int) -> list[str]:
        """Return the responses from best to worst, by pairs won less pairs lost; of many, the ends.

        Args:
            most: Responses to return at most.
        """
        margins: Counter[str] = Counter()
        for pair in self.pairs:
            margins[pair.better] += 1
            margins[pair.worse] -= 1
        ordered = sorted(margins, key=lambda text: (-margins[text], text))
        if len(ordered) <= most:
            return ordered
        return [*ordered[: most - most // 2], *ordered[len(ordered) - most // 2 :]]

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return tuple(reason for pair in self.pairs for reason in pair.reasons)


def group_by_prompt(pairs: Sequence[LabelledPair]) -> list[PromptCase]:
    """Group pairs by prompt, prompts in the order of their first pairs."""
    by_prompt: dict[str, list[LabelledPair]] = {}
    for pair in pairs:
        by_prompt.setdefault(pair.prompt_id, []).append(pair)
    return [PromptCase(prompt_id, tuple(own)) for prompt_id, own in by_prompt.items()]
