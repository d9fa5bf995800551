"""Files that are one document, whose rows stand in a list: a log of an evaluation with all its samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from curate.ingest.chunks import ReadRow
from curate.ingest.paths import find_list
from curate.ingest.rejection import Rejection, RowError, shorten_raw


def list_rows_inside(
    rows: Iterator[tuple[int, ReadRow]], path: str, kept: Mapping[str, str]
) -> Iterator[tuple[int, ReadRow]]:
    """Yield the items of a document's list as rows of their own; a row without the list stays as it is.

    Args:
        rows: Numbered documents.
        path: Where the list stands in a document.
        kept: Name → path of what each item takes along from its document.
    """
    from curate.ingest.decoders import decode_object  # which knows the shapes

    number = 0
    for line, raw in rows:
        number = max(number + 1, line)
        if isinstance(raw, Rejection):
            yield number, raw
            continue
        try:
            document = decode_object(raw)
            items = find_list(document, path)
        except RowError as error:
            text = shorten_raw(raw if isinstance(raw, bytes) else repr(raw))
            yield number, Rejection(number, error.kind, error.reason, text)
            continue
        if not isinstance(items, list):
            yield number, raw
            continue
        common: dict[str, Any] = {name: find_list(document, place) for name, place in kept.items()}
        for place, item in enumerate(items):
            yield number + place, {**common, **(item if isinstance(item, dict) else {})}
        number += max(len(items) - 1, 0)
