"""HH-RLHF: two transcripts with the same beginning, of which people preferred the first (arXiv 2204.05862)."""

from __future__ import annotations

import re

from curate.config.ingest import Fields
from curate.ingest import foreign, mapped
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.rejection import RowError
from curate.ingest.rows import Row
from curate.ingest.shapes.base import Shape

_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


class HhRlhf(Shape):
    """Two transcripts of Human: and Assistant:."""

    fields = Fields(chosen="chosen", rejected="rejected")
    columns = (frozenset({"chosen", "rejected"}),)
    kind = "human"

    def read_row(self, row: ForeignRow, reading: SourceSettings) -> Row:
        """Read a row."""
        paths = [reading.fields.chosen or "chosen", reading.fields.rejected or "rejected"]
        turns = {
            path: parse_transcript(foreign.check_text(foreign.require_value(row, path), path), path)
            for path in paths
        }
        return mapped.read_chosen({**row, **turns}, reading)


def parse_transcript(text: str, place: str) -> list[dict[str, str]]:
    r"""`"\n\nHuman: … \n\nAssistant: …"` as messages; blanks around a turn are not part of it."""
    head, *rest = _TURN.split(text)
    if head.strip() or not rest:
        raise RowError(
            "no transcript", f"`{place}` does not begin with a blank line and `Human:` or `Assistant:`."
        )
    pairs = zip(rest[::2], rest[1::2], strict=True)
    return [{"role": _ROLES[speaker], "content": text.strip()} for speaker, text in pairs]
