"""HH-RLHF: two transcripts with the same beginning, of which people preferred the first (arXiv 2204.05862)."""

from __future__ import annotations

from curate.config.ingest import Fields
from curate.data.conversation import build_dicts
from curate.data.preference_rows import parse_transcript
from curate.ingest import foreign, mapped
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.rows import Row
from curate.ingest.shapes.base import Shape


class HhRlhf(Shape):
    """Two transcripts of Human: and Assistant:."""

    fields = Fields(chosen="chosen", rejected="rejected")
    columns = (frozenset({"chosen", "rejected"}),)
    kind = "human"
    description = "HH-RLHF, two transcripts of Human: and Assistant: with the same beginning"

    def read_row(self, row: ForeignRow, reading: SourceSettings) -> Row:
        """Read a row."""
        paths = [reading.fields.chosen or "chosen", reading.fields.rejected or "rejected"]
        turns = {
            path: build_dicts(
                parse_transcript(foreign.check_text(foreign.require_value(row, path), path), path)
            )
            for path in paths
        }
        return mapped.read_chosen({**row, **turns}, reading)
