"""A shape of one's own with code: the answers stand in one text, from the best to the worst, parted by a line.

Named in curate.yaml, beside this file:

    ingest:
      - {source: sheets.jsonl, format: "./shape.py:RankedSheet"}
"""

from curate.config.ingest import Fields
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.rejection import RowError
from curate.ingest.rows import Row
from curate.ingest.shapes import Shape


class RankedSheet(Shape):
    fields = Fields(prompt="task", responses="answers", response_score="place", best="low")
    columns = (frozenset({"task", "sheet"}),)
    reads = frozenset({"sheet"})
    kind = "human"

    def read_row(self, row: ForeignRow, reading: SourceSettings) -> Row:
        texts = [text.strip() for text in str(row["sheet"]).split("\n---\n")]
        if len(texts) < 2:
            raise RowError("one answer only", "`sheet` holds no line `---`.")  # the row goes into quarantine
        answers = [{"text": text, "place": place} for place, text in enumerate(texts, 1)]
        return super().read_row({**row, "answers": answers}, reading)
