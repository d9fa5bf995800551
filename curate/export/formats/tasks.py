"""Examples that trainers learn from, whatever the names of columns: pairs, single answers, or the best answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, ClassVar, Literal

from pydantic import Field

from curate.core.section import Section
from curate.data.preference_rows import Unusable
from curate.export.formats.row_format import RowFormat

Dict = dict[str, Any]


class TaskOptions(Section):
    """The task that is trained."""

    task: Literal["preference", "binary", "sft"] = Field(
        "preference",
        description="preference: a better and a worse response (DPO, reward models). binary: single responses, good or "
        "bad (KTO). sft: the best response of each prompt.",
    )


class TaskFormat(RowFormat):
    """A consumer's format for the tasks that it trains; one method a task says what its rows look like.

    Examples are dictionaries with prompt_id, prompt, tools and: preference: chosen, rejected, margin, confidence (as in
    rows of `pairs`); binary: response, label; sft: response. `response`, `chosen` and `rejected` have response_id,
    model and messages.
    """

    Options: ClassVar[type[Section]] = TaskOptions
    checks_rows = False

    def __init__(self, name: str, options: Any = None, *, code: str = "") -> None:
        chosen: Any = self.Options() if options is None else options
        self.rows = "rankings" if chosen.task == "sft" else "pairs"
        super().__init__(name, chosen, code=code)

    def write_example(self, example: Dict) -> Dict:
        """Return the row of an example of the task of the options.

        Raises:
            curate.data.preference_rows.Unusable: The consumer has no place for something of it.
        """
        raise NotImplementedError(f"the export format {self.name!r} has no write_example")

    def write_rows(self, rows: Iterator[Dict]) -> Iterator[Dict]:
        """Yield a row for each example. One that is unusable is counted: as dropped, or where it is no row, as lost."""
        if self.options.task == "binary":
            yield from self._write(list_binary_examples(rows, self._losses), self._losses)
        elif self.options.task == "sft":
            yield from self._write(list_best_examples(rows, self._losses), self._dropped)
        else:
            yield from self._write(rows, self._dropped)

    def _write(self, examples: Iterable[Dict], reasons: Dict) -> Iterator[Dict]:
        for example in examples:
            try:
                row = self.write_example(example)
            except Unusable as reason:
                reasons[str(reason)] += 1
            else:
                yield {name: example.get(name) for name in ("prompt_id", "confidence", "iteration")} | row


def list_binary_examples(pairs: Iterable[Dict], losses: Dict) -> Iterator[Dict]:
    """Yield the responses that won all of their decided pairs, as good, and those that lost all of theirs, as bad.

    Each response is there once. One that won and lost is neither, and counted in `losses`.
    """
    for _, group in groupby(pairs, lambda row: row["prompt_id"]):
        rows = list(group)
        won = {row["chosen"]["response_id"]: (row["chosen"], row) for row in rows}
        lost = {row["rejected"]["response_id"]: (row["rejected"], row) for row in rows}
        for response_id in sorted({*won, *lost}):
            if response_id in won and response_id in lost:
                losses["a response better than one and worse than another, neither good nor bad"] += 1
                continue
            response, row = won.get(response_id) or lost[response_id]
            yield {
                **{name: row[name] for name in ("prompt_id", "prompt", "tools", "iteration")},
                "response": response,
                "label": response_id in won,
            }


def list_best_examples(rankings: Iterable[Dict], losses: Dict) -> Iterator[Dict]:
    """Yield the best response of each prompt; of several on one rank, that with the highest score, then the first."""
    for row in rankings:
        responses = row["responses"]
        best = min(responses, key=lambda response: (response["rank"], -response["score"]))
        ties = sum(response["rank"] == best["rank"] for response in responses) - 1
        if ties:
            losses["another response as good as the best"] += ties
        yield {name: row[name] for name in ("prompt_id", "prompt", "tools", "iteration")} | {"response": best}
