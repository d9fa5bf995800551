"""TRL's preference data: a chosen and a rejected answer, with or without a prompt of their own."""

from __future__ import annotations

from curate.config.ingest import Fields
from curate.ingest.shapes.base import Shape


class TrlPreference(Shape):
    """Texts beside a prompt, or conversations that may begin with it."""

    fields = Fields(
        prompt="prompt",
        system="system",
        chosen="chosen",
        rejected="rejected",
        images="images",
        tools="tools",
        score_chosen="score_chosen",
        score_rejected="score_rejected",
        margin="margin",
    )
    description = "a chosen and a rejected answer: texts beside a prompt, conversations, transcripts"
    columns = (frozenset({"chosen", "rejected"}),)
