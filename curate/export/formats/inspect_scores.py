"""The format `inspect`: scores of samples, for `precomputed_scores` of Inspect.

As src/inspect_ai/scorer/_precomputed.py reads a file, at UKGovernmentBEIS/inspect_ai 499e615: records with `id` (of the
sample: the prompt's own id where it has one), `value`, and `epoch` where a sample was answered more than once.
(Inspect of PyPI, 0.3.285, has `precomputed_scores` too.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from curate.core.section import Section
from curate.export.formats.documents import read_rows, write_lines
from curate.export.formats.row_format import RowFormat
from curate.export.formats.tasks import Dict
from curate.records import Record


class InspectOptions(Section):
    """Whose responses are scored, and what their score is."""

    model: str | None = Field(
        None, description="Only responses of this model: that of the log that is scored."
    )
    value: Literal["score", "rank", "best"] = Field(
        "score", description="score: log-odds against an average response. rank: 1 is the best. best: 1 or 0."
    )


class InspectRow(Record):
    """The score of a response. `epoch` is the one that its `meta` names, if any."""

    id: str
    epoch: int | None
    value: float
    answer: str
    metadata: dict[str, Any]


class InspectScores(RowFormat):
    """Scores of responses by the panel, for logs of Inspect."""

    rows = "rankings"
    Options = InspectOptions
    Row = InspectRow
    checks_rows = False
    title = "Scores for Inspect"

    def write_rows(self, rows: Iterator[Dict]) -> Iterator[Dict]:
        """Yield a row for each response that a sample of a log can be told from."""
        for row in rows:
            records = [
                self._write_record(row, response)
                for response in row["responses"]
                if self.options.model in (None, response["model"])
            ]
            if not records:
                self._dropped["no response of the model"] += 1
            elif len({record["epoch"] for record in records}) < len(records):
                self._dropped["several responses of one sample that no epoch tells apart: name a model"] += 1
            else:
                yield from records

    def _write_record(self, row: Dict, response: Dict) -> Dict:
        rank, score = response["rank"], response["score"]
        return {
            "id": row["key"] or row["prompt_id"],
            "epoch": _read_epoch(response["meta"]),
            "value": {"score": score, "rank": float(rank), "best": float(rank == 1)}[self.options.value],
            "answer": response["text"],
            "metadata": {
                "model": response["model"],
                "rank": rank,
                "score": score,
                "of": len(row["responses"]),
            },
        }

    def write_files(self, folder: Path, parts: Mapping[str, Sequence[Path]]) -> Sequence[Path]:
        """Write `train.jsonl` (and so on): the file that `precomputed_scores` takes."""
        return [
            write_lines(
                folder / f"{name}.jsonl",
                ({key: value for key, value in row.items() if value is not None} for row in read_rows(files)),
            )
            for name, files in parts.items()
        ]


def _read_epoch(meta: str | None) -> int | None:
    values = json.loads(meta) if meta else {}
    epoch = values.get("epoch") if isinstance(values, dict) else None
    return epoch if isinstance(epoch, int) and not isinstance(epoch, bool) else None
