"""The pages of an export: README.md with the front matter that `datasets` and the hub read, and croissant.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from curate import __version__
from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.core.markdown import escape_markdown
from curate.core.resources import read_query
from curate.export import croissant
from curate.export.croissant import DatasetFacts
from curate.export.croissant_facts import build_facts
from curate.export.formats import ExportFormat, ExportTable
from curate.export.front_matter import build_front_matter
from curate.export.provenance import read_provenance
from curate.export.shards import WrittenPart
from curate.export.terms import list_sources
from curate.lake.lake import Lake
from curate.lake.panel_view import select_panel
from curate.lake.runs import Counts

if TYPE_CHECKING:
    import jinja2


@dataclass(frozen=True, slots=True)
class ExportContent:
    """The facts about an export that its card and manifest state."""

    entry: ExportEntry
    format: ExportFormat
    tables: Sequence[ExportTable]
    parts: Sequence[WrittenPart]
    selected: Counts
    snapshot: int
    iteration: int | None
    losses: Mapping[str, int]


def render_pages(reader: Lake, config: Config, content: ExportContent) -> dict[str, str]:
    """Return file name → content of the card and of croissant.json; `reader` still has the table `selection`."""
    select_panel(reader, config.panel_names)
    facts = _collect_facts(reader, content)
    schemas = _list_schemas(content)
    return {
        "README.md": _render_card(facts, content, schemas),
        croissant.NAME: croissant.render_croissant(
            _describe_dataset(facts, config, content), content.parts, schemas
        ),
    }


def _collect_facts(reader: Lake, content: ExportContent) -> dict[str, Any]:
    """Read everything from the lake that the pages state."""
    iteration = [content.iteration]
    return {
        "provenance": read_provenance(reader, content.iteration, content.snapshot),
        "counts": reader.rows(read_query("export_card_counts"), iteration),
        "claim": _read_assessment(reader, content.iteration),
        "certificate": next(iter(reader.rows(read_query("certificate_newest"))), None),
        "warnings": [sentence for (sentence,) in reader.rows(read_query("doubts"))],
        "guarantees": reader.rows(read_query("export_card_guarantees"), iteration)
        if reader.has("guarantees")
        else [],
        "annotators": reader.rows(read_query("export_card_annotators"), iteration),
        "sources": list_sources(reader),
        "confidence": reader.rows(read_query("export_card_confidence")) if content.format.is_split else [],
    }


@cache
def _load_environment() -> jinja2.Environment:
    """Load the template; it is compiled once."""
    import jinja2

    # Markdown, so nothing is escaped as HTML here: what comes from users goes through the filter `md`.
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("curate.export", "."),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        md=escape_markdown, number=_format_number, share=_format_share, signed=_format_signed_number
    )
    return environment


def _render_card(facts: Mapping[str, Any], content: ExportContent, schemas: Mapping[str, pa.Schema]) -> str:
    form = content.format
    return (
        _load_environment()
        .get_template("card.md.j2")
        .render(
            facts,
            front_matter=build_front_matter(
                form.title,
                form.name,
                content.entry,
                content.parts,
                schemas,
                facts["provenance"],
                is_split=form.is_split,
            ),
            title=form.title,
            about=form.about,
            format=form.name,
            unit=form.unit,
            rows=sum(part.rows for part in content.parts),
            version=__version__,
            snapshot=content.snapshot,
            iteration=content.iteration,
            license=content.entry.license,
            routed=content.entry.routed,
            loading=_loading_example(content),
            selected=content.selected,
            losses=dict(content.losses),
            columns={part.name: part.schema.names for part in content.tables},
            columns_titled=not form.is_split,
        )
    )


def _describe_dataset(facts: Mapping[str, Any], config: Config, content: ExportContent) -> DatasetFacts:
    entry, form = content.entry, content.format
    number = next((number for _, what, number in facts["counts"] if what == "of these by people"), 0)
    target = next(
        (
            config.hub.find_target(name)
            for name in config.hub.push
            if config.resolve(name) == config.resolve(entry.path)
        ),
        None,
    )
    dropped = [("export", reason, rows) for reason, rows in content.selected.dropped.items()]
    return build_facts(
        title=form.title,
        about=form.about,
        license=entry.license,
        languages=entry.language,
        creator=entry.creator,
        url=f"https://huggingface.co/datasets/{target.repository}" if target else None,
        version=content.snapshot,
        provenance=facts["provenance"],
        claim=facts["claim"][1] if facts["claim"] else None,
        warnings=facts["warnings"],
        human_labels=f"{number:,} judgments of people in the whole lake" if number else "0",
        judges=[name for name, kind, *_ in facts["annotators"] if kind not in ("human", "imported")],
        removed=[*facts["provenance"].removed, *dropped],
    )


def _list_schemas(content: ExportContent) -> dict[str, pa.Schema]:
    """Return part → columns. Parts that are splits of one table have its columns."""
    schemas = {table.name: table.schema for table in content.tables}
    return {part.name: schemas.get(part.name, content.tables[0].schema) for part in content.parts}


def _read_assessment(reader: Lake, iteration: int | None) -> tuple[Any, ...] | None:
    """Read the row of the assessment; None where nothing was assessed (an old snapshot among them)."""
    rows = reader.rows(read_query("export_card_claim"), [iteration]) if reader.has("assessments") else []
    return rows[0] if rows else None


def _loading_example(content: ExportContent) -> str:
    if content.format.is_split:
        if len(content.parts) == 1:
            return 'rows = load_dataset("path/of/this/folder", split="train")'
        return "\n".join(
            f'{part.name} = load_dataset("path/of/this/folder", split="{part.name}")'
            for part in content.parts
        )
    return "\n".join(
        f'{part.name} = load_dataset("path/of/this/folder", "{part.name}", split="train")'
        for part in content.parts
    )


def _format_number(value: int) -> str:
    return f"{value:,}"


def _format_signed_number(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}"


def _format_share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
