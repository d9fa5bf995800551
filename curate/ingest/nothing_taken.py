"""Inputs of which not one row was of use: that is a failure, and the mapping's fault rather than the rows'."""

from __future__ import annotations

from collections.abc import Sequence

from curate.config.ingest import Source
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.ingest.inputs import Input, locate_inputs
from curate.ingest.recognition.entry import write_entry
from curate.ingest.recognition.sources import recognize_source
from curate.lake.lake import Lake


def refuse_wasted_inputs(lake: Lake, sources: Sequence[Source], config: Config) -> None:
    """Raise where every row of an input is in quarantine.

    Args:
        lake: The lake, after the sources were taken in.
        sources: The sources.
        config: The project's settings.

    Raises:
        CurateError: Names the inputs, the commonest reason and a mapping that fits better, where there is one.
    """
    problems = [
        _explain_nothing(lake, item, config)
        for source in sources
        for item in locate_inputs(source, config)
        if _is_wasted(lake, item)
    ]
    if problems:
        raise CurateError("\n".join(problems))


def _is_wasted(lake: Lake, item: Input) -> bool:
    rows_in, of_use = lake.rows(read_query("ingest_last_counts"), [item.part, item.part])[0]
    return bool(rows_in > 0 and of_use == 0)


def _explain_nothing(lake: Lake, item: Input, config: Config) -> str:
    reasons = lake.rows(read_query("ingest_commonest_reason"), [item.part])
    why = f", most often since: {reasons[0][0]}" if reasons else ""
    return f"{item.part}: no row was taken in{why} {_propose_mapping(item, config)}".rstrip()


def _propose_mapping(item: Input, config: Config) -> str:
    """Say which entry of `curate.yaml` reads the input, where one is known."""
    if item.source.kind == "judgments":
        return 'See `curate sql "SELECT line, reason FROM quarantine"`.'
    unknown = item.source.model_copy(update={"format": "auto", "fields": None})
    try:
        recognition = recognize_source(unknown, config)
    except CurateError:
        recognition = None
    if (
        recognition is None
        or recognition.source is None
        or (
            recognition.source.format == item.source.format == "native"
            and (recognition.source.fields == item.source.fields)
        )
    ):
        return 'See `curate sql "SELECT line, reason FROM quarantine"`.'
    notes = "".join(f" {problem[:1].upper()}{problem[1:]}." for problem in recognition.problems)
    return f"This mapping fits better:{notes}\n{write_entry(recognition.source)}"
