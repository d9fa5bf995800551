"""Where an export comes from: sources, annotators, their biases, and what was left out on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curate.core.resources import read_query
from curate.hub.sources import list_hub_datasets
from curate.lake.lake import Lake


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The facts that card and croissant.json share.

    Attributes:
        sources: Rows of source, prompts.
        hub_datasets: Data sets on the hub among the sources.
        kinds: Kinds of the annotators (`llm`, `human`, …).
        has_models: Responses name the models that wrote them.
        biases: Rows of annotator, kind, position bias, length bias, agreement.
        removed: Rows of stage, reason, number.
        date: ISO 8601 date of the snapshot; None: it is not known.
    """

    sources: Sequence[tuple[str, int]]
    hub_datasets: Sequence[str]
    kinds: Sequence[str]
    has_models: bool
    biases: Sequence[tuple[str, str, float | None, float | None, float | None]]
    removed: Sequence[tuple[str, str, int]]
    date: str | None


def read_provenance(reader: Lake, iteration: int | None, snapshot: int) -> Provenance:
    """Read the provenance from a lake in which `current_judgments` is the panel's."""
    ((kinds, has_models),) = reader.rows(read_query("export_card_kinds"))
    dates = reader.rows(read_query("export_card_date"), [snapshot])
    return Provenance(
        sources=reader.rows(read_query("export_card_sources")),
        hub_datasets=list_hub_datasets(part for (part,) in reader.rows(read_query("push_sources"))),
        kinds=kinds or [],
        has_models=bool(has_models),
        biases=reader.rows(read_query("export_card_biases"), [iteration]),
        removed=[row for row in reader.rows(read_query("report_reasons")) if row[0] != "export"],
        date=dates[0][0] if dates else None,
    )
