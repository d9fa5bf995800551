"""The stage `export` with the prompts of the judges, which training sets of judges contain."""

from __future__ import annotations

from collections.abc import Sequence

from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.core.progress import Track, no_progress
from curate.export import write_exports as write
from curate.export.formats import open_format
from curate.lake.lake import Lake
from curate.lake.runs import Summary


def export_labels(
    lake: Lake, config: Config, *, entries: Sequence[ExportEntry] | None = None, track: Track = no_progress
) -> Summary:
    """Write the data sets of `entries` (default: those of `curate.yaml`)."""
    chosen = config.export if entries is None else entries
    formats = [open_format(entry.format, folder=config.resolve(".")) for entry in chosen]
    if not any(form.needs_transcripts for form in formats):
        return write(lake, config, entries=chosen, track=track)
    from curate.pipeline.transcripts import Transcripts

    with Transcripts(config) as transcripts:
        return write(lake, config, entries=chosen, transcripts=transcripts, track=track)
