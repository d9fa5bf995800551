"""Labels in one aspect alone (`aggregate.aspects`): the same aggregation, of the judgments about that aspect.

They stand in tables of their own, so that nothing that reads labels can take one of them for the label of a pair.
People's verdicts count as they do for labels; no guarantee is made about an aspect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from curate.aggregate.adversarial import drop_fooled_judges
from curate.aggregate.annotators import OpenedModel
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.resources import read_query
from curate.lake.aspects import list_aspects, select_aspect
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, find_newest_run
from curate.records import TABLES, arrow_schema

ASPECT_TABLES = {"aspect_preferences": "preferences", "aspect_rankings": "rankings"}
"""Tables of labels in an aspect, and the tables of labels that have the same columns."""

_VERSION = 1  # raised when the same judgments would give other results


def aggregate_aspects(
    run: StageRun, config: Config, model: OpenedModel | None, panel: pa.Table
) -> Iterator[str]:
    """Aggregate each aspect of `aggregate.aspects` and yield a line for each that is new; others' labels go.

    Args:
        run: The run that the rows belong to.
        config: The project.
        model: The annotator model that curate.yaml names; None: `auto`.
        panel: Whose judgments count, as rows of (annotator_id, revision), but for those whom the adversarial set fools.

    Raises:
        CurateError: No judgment is about an aspect that curate.yaml names.
    """
    lake, asked = run.lake, config.aggregate.aspects
    known = list_aspects(lake) if asked else []
    wanted: Sequence[str] = known if asked == "all" else asked
    if missing := [aspect for aspect in wanted if aspect not in known]:
        raise CurateError(
            f"`aggregate.aspects` names {missing[0]!r}, but no judgment is about it; the lake has "
            f"{', '.join(known) or 'none about an aspect'}."
        )
    _drop_others(run, wanted)
    if wanted:
        panel, _ = drop_fooled_judges(lake, panel, config.aggregate.guard)
    for aspect in wanted:
        if note := _aggregate_aspect(run, config, model, panel, aspect):
            yield note


def _drop_others(run: StageRun, wanted: Sequence[str]) -> None:
    """Delete the labels of aspects that curate.yaml does not name any more."""
    others = ("NOT list_contains(?::VARCHAR[], aspect)", [list(wanted)])
    for table in ASPECT_TABLES:
        if run.lake.value(f"SELECT count(*) FROM {table} WHERE {others[0]}", others[1]):
            with run.lake.write(run.run_id) as writer:
                writer.delete(table, *others)


def _aggregate_aspect(
    run: StageRun, config: Config, model: OpenedModel | None, panel: pa.Table, aspect: str
) -> str:
    lake, part = run.lake, f"aspect-{aspect}"
    section = config.aggregate.model_copy(update={"guarantee": None, "rewards": None, "aspects": []})
    with lake.bind("panel", panel), select_aspect(lake, aspect):
        lake.rows(read_query("current_judgments"))
        lake.rows(read_query("aggregate_spoken"))
        judged = lake.frame(read_query("aggregate_annotators"))
        code = [model.code] if model is not None and model.code else []
        fingerprint = content_id(
            _VERSION, aspect, section.digest, panel.to_pylist(), judged.to_dicts(), *code
        )
        written = lake.value("SELECT count(*) FROM aspect_preferences WHERE aspect = ?", [aspect])
        if written and find_newest_run(lake, "aggregate", part) == fingerprint:
            return ""
        from curate.aggregate.pipeline import aggregate_panel  # numba, which takes a second to import

        result = aggregate_panel(lake, section, judged, iteration=-1, run_id=run.run_id, model=model)
    with run.chunk(part, fingerprint=fingerprint, status="done") as (writer, counts):
        counts.add(result.counts)
        for table, source in ASPECT_TABLES.items():
            rows = _add_aspect(result.tables[source], table, aspect)
            writer.replace(table, rows, "prompt_id", "aspect = ?", [aspect])
    return _describe_aspect(lake, aspect)


def _add_aspect(rows: pa.Table, table: str, aspect: str) -> pa.Table:
    schema = arrow_schema(TABLES[table])
    rows = rows.append_column("aspect", pa.array([aspect] * len(rows), pa.string()))
    return rows.select(schema.names).cast(schema)


def _describe_aspect(lake: Lake, aspect: str) -> str:
    pairs, ties, common, alike = lake.rows(read_query("aggregate_aspect"), [aspect])[0]
    as_whole = f", {alike / common:.0%} of them as the label of the pair" if common else ""
    return f"aspect {aspect}: {pairs:,} pairs, {ties:,} ties{as_whole}"
