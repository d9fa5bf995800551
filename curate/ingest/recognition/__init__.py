"""Recognition: what a file is, by its columns and a sample of its rows, before anything of it is taken in."""

from curate.ingest.recognition.describe import describe_recognition, draw_rows
from curate.ingest.recognition.entry import write_entry
from curate.ingest.recognition.recognize import Recognition
from curate.ingest.recognition.sources import recognize_source, resolve_formats

__all__ = [
    "Recognition",
    "describe_recognition",
    "draw_rows",
    "recognize_source",
    "resolve_formats",
    "write_entry",
]
