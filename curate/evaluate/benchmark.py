"""A benchmark as it is scored: prompts whose responses are ordered by quality."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from curate.data.conversation import Conversation, identify_answer, identify_turns, render_text
from curate.data.preference_pairs import identify_prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkItem:
    """A prompt with N responses.

    | field       | meaning |
    | ---         | --- |
    | `key`       | the data set's own name of the row |
    | `context`   | the conversation of the prompt |
    | `tools`     | JSON text of the tools that models may call, or None |
    | `responses` | N conversations |
    | `tiers`     | int[N]; 1 is the best, equal numbers are equally good |
    | `subset`    | the part of the benchmark that the row belongs to |
    | `gold`      | float[N], how good each response is, where the data set has a number for it |
    | `styles`    | int[N], RM-Bench's styles: 0 concise, 1 detailed, 2 detailed in markdown |
    | `prompt_id` | as in training sets, or "" |
    """

    key: str
    context: Conversation
    responses: tuple[Conversation, ...]
    tiers: tuple[int, ...]
    subset: str = "all"
    gold: tuple[float, ...] | None = None
    styles: tuple[int, ...] | None = None
    prompt_id: str = ""
    tools: str | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """The responses as models that read text see them."""
        return tuple(map(render_text, self.responses))

    @property
    def identity(self) -> list[object]:
        """Prompt and responses as `content_id` takes them."""
        identity = [identify_turns(self.context), [identify_answer(answer) for answer in self.responses]]
        return identity if self.tools is None else [*identity, self.tools]

    @property
    def cluster(self) -> str:
        """The prompt: rows about one prompt are not independent, so intervals are computed over prompts."""
        return self.prompt_id or identify_prompt(self.context, self.tools)

    def iterate_pairs(self) -> Iterator[tuple[int, int]]:
        """Yield (better, worse), response numbers, for all pairs of different tiers."""
        numbers = range(len(self.tiers))
        return ((i, j) for i in numbers for j in numbers if self.tiers[i] < self.tiers[j])


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSet:
    """The items of a benchmark; `rows` = number of items + the sum of `dropped` (reason → rows)."""

    name: str
    format: str
    items: tuple[BenchmarkItem, ...]
    rows: int
    dropped: dict[str, int]
    digest: str
