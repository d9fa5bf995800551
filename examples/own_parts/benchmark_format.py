"""A benchmark format of one's own: two answers, and the share of readers that liked the first one better.

Named in curate.yaml, beside this file:

    evaluate:
      benchmarks:
        - {name: readers, source: readers.jsonl, format: {kind: "./benchmark_format.py:ReaderVotes", least: 0.6}}
"""

from pydantic import Field

from curate.core.section import Section
from curate.data.conversation import text_answer, text_message
from curate.data.preference_rows import Unusable
from curate.evaluate.benchmark import BenchmarkItem
from curate.evaluate.benchmark_formats import BenchmarkFormat, Row


class ReaderVotesOptions(Section):
    least: float = Field(0.5, ge=0.5, le=1, description="Least share of readers on one side.")


class ReaderVotes(BenchmarkFormat):
    Options = ReaderVotesOptions

    def read_row(self, row: Row, key: str) -> BenchmarkItem:
        share = float(row["first_liked"])
        if max(share, 1 - share) < self.options.least or share == 0.5:
            raise Unusable("readers are divided")  # the row is left out, and counted with this reason
        return BenchmarkItem(
            key=key,
            context=(text_message("user", row["question"]),),
            responses=(text_answer(row["first"]), text_answer(row["second"])),
            tiers=(1, 2) if share > 0.5 else (2, 1),  # 1 is the best
        )
