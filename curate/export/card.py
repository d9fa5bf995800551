"""The dataset card: README.md with the front matter that `datasets` and the hub read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from curate import __version__
from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.core.markdown import escape_markdown
from curate.core.resources import read_query
from curate.export.formats import ExportFormat, ExportTable
from curate.export.shards import WrittenPart
from curate.export.terms import list_sources
from curate.hub.licenses import build_license_fields
from curate.lake.lake import Lake
from curate.lake.panel_view import select_panel
from curate.lake.runs import Counts

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


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


def render_card(reader: Lake, config: Config, content: ExportContent) -> str:
    """Return the whole of README.md; `reader` still has the temporary table `selection`."""
    import jinja2

    # Markdown, so nothing is escaped as HTML here: what comes from users goes through the filter `md`.
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("curate.export", "."),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters.update(md=escape_markdown, number=_format_number, share=_format_share)
    iteration = [content.iteration]
    select_panel(reader, config.panel_names)
    is_split = content.format.is_split
    return environment.get_template("card.md.j2").render(
        front_matter=_front_matter(content),
        title=content.format.title,
        about=content.format.about,
        format=content.format.name,
        unit=content.format.unit,
        rows=sum(part.rows for part in content.parts),
        version=__version__,
        snapshot=content.snapshot,
        iteration=content.iteration,
        license=content.entry.license,
        routed=content.entry.routed,
        loading=_loading_example(content),
        counts=reader.rows(read_query("export_card_counts"), iteration),
        selected=content.selected,
        losses=dict(content.format.losses),
        claim=_read_assessment(reader, content.iteration),
        certificate=next(iter(reader.rows(read_query("certificate_newest"))), None),
        warnings=[sentence for (sentence,) in reader.rows(read_query("doubts"))],
        guarantees=reader.rows(read_query("export_card_guarantees"), iteration)
        if reader.has("guarantees")
        else [],
        annotators=reader.rows(read_query("export_card_annotators"), iteration),
        confidence=reader.rows(read_query("export_card_confidence")) if is_split else [],
        sources=list_sources(reader),
        columns={part.name: part.schema.names for part in content.tables},
        columns_titled=not is_split,
    )


def _read_assessment(reader: Lake, iteration: int | None) -> tuple[Any, ...] | None:
    """Read the row of the assessment; None where nothing was assessed (an old snapshot among them)."""
    rows = reader.rows(read_query("export_card_claim"), [iteration]) if reader.has("assessments") else []
    return rows[0] if rows else None


def _front_matter(content: ExportContent) -> str:
    rows = sum(part.rows for part in content.parts)
    is_split = content.format.is_split
    paths = {part.name: f"data/{part.name}-*.parquet" for part in content.parts}
    configs: list[dict[str, Any]] = [
        {"config_name": name, "data_files": [{"split": "train", "path": path}]}
        for name, path in paths.items()
    ]
    if is_split:  # each part is a split of one configuration
        files = [{"split": name, "path": path} for name, path in paths.items()]
        configs = [{"config_name": "default", "data_files": files}]
    document: dict[str, Any] = {
        **build_license_fields(content.entry.license),
        "tags": ["preference", "rlhf", "curate"],
        "size_categories": [next((name for limit, name in _SIZES if rows < limit), "n>1M")],
        "configs": configs,
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


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


def _format_share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
