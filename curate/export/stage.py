"""The stage: select, write, describe, and put the folder in its place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate import __version__
from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.core.atomic import atomic_directory, refuse_foreign, temporary_beside
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.machine_paths import hide_paths
from curate.core.progress import Track, no_progress
from curate.core.resources import read_query
from curate.core.secrets import scrub_text
from curate.core.sql_text import quote_text
from curate.export import croissant
from curate.export.card import ExportContent, render_pages
from curate.export.folder import MANIFEST, NOUN, is_intact, list_export_files
from curate.export.formats import ExportFormat, ExportTable, RowFormat, Transcriber, open_format
from curate.export.formats.base import PLAIN
from curate.export.formats.conversations import choose_layout
from curate.export.local_images import LOSS, count_local_images
from curate.export.masking import digest_masks, mask_texts
from curate.export.shards import WrittenPart, cut_row_groups, describe_file, write_part
from curate.export.slices import stream_slices
from curate.export.splits import select_splits
from curate.export.terms import add_terms, apply_licenses, read_terms
from curate.lake.data_folder import is_local
from curate.lake.lake import Lake
from curate.lake.panel_view import select_panel
from curate.lake.runs import Counts, StageRun, Summary, is_done
from curate.records import TABLES

_VERSION = 3  # of the files' layout: raise it when the same lake must give other files
_MEMORY_PER_THREAD = 256  # MiB that the database may use while it sorts and joins; beyond, it uses the disk
_APPEND_ONLY = {"prompts": "prompt_id", "responses": "response_id", "judgments": "judgment_id"}
# No content: which run wrote a row, and whether a later label set has taken the place of this one.
_NOT_CONTENT = {"run_id", "is_final", "final_reason"}
_REPLACED = ("preferences", "rankings", "annotators", "dropped_arcs", "guarantees", "assessments")
_TERMS = ("part", "source", "license", "origin")


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The outcome of one export. `rows`: of all its tables; `skipped`: the folder held this very export already."""

    path: Path
    format: str
    rows: int
    snapshot: int
    counts: Counts
    skipped: bool = False


def write_exports(
    lake: Lake,
    config: Config,
    *,
    entries: Sequence[ExportEntry] | None = None,
    transcripts: Transcriber | None = None,
    track: Track = no_progress,
) -> Summary:
    """Write the data sets of `entries`, as the lake is now.

    Args:
        lake: The lake.
        config: The project's settings.
        entries: Data sets to write; default: those of `curate.yaml`.
        transcripts: Chats of the judges, for formats that need them; `curate.pipeline.export` provides them.
        track: Shows progress.

    Raises:
        CurateError: Nothing has been aggregated yet, the filters leave nothing over, or a folder holds anything
            that is not an export.
    """
    chosen = config.export if entries is None else entries
    run = StageRun(lake, "export", config_hash=content_id([entry.digest for entry in chosen]))
    results = [
        write_export(lake, config, entry, run=run, transcripts=transcripts, track=track) for entry in chosen
    ]
    written = [result for result in results if not result.skipped]
    note = ", ".join(f"{result.path} ({result.rows:,} rows)" for result in written)
    return run.summary(skipped=not written, note=note or "no exports" * (not chosen))


def write_export(
    lake: Lake,
    config: Config,
    entry: ExportEntry,
    *,
    run: StageRun | None = None,
    transcripts: Transcriber | None = None,
    track: Track = no_progress,
) -> ExportResult:
    """Write one data set and its line in `runs` (no line where the lake is open for reading only).

    The files depend only on the snapshot and the settings: two exports of one snapshot are equal byte by byte.

    Args:
        lake: The lake.
        config: The project's settings.
        entry: The data set to write.
        run: The run that the export belongs to; default: one of its own.
        transcripts: Chats of the judges, for formats that need them.
        track: Shows progress.

    Raises:
        CurateError: As of `write_exports`.
    """
    form = open_format(entry.format, folder=config.resolve("."))
    if entry.licenses is None and config.licenses is not None:
        entry = entry.model_copy(update={"licenses": config.licenses})
    target = config.resolve(entry.path)
    _refuse_lake_folder(lake, target)
    snapshot = lake.snapshot()
    # A connection of its own: every query sees this snapshot, and its temporary tables disturb nobody.
    with Lake.open(lake.location, snapshot=snapshot) as reader:
        has_layouts = (form.ConversationRow is not None or form.reads_layout) and bool(
            reader.value(read_query("export_conversations"))
        )
        iteration = _choose_iteration(reader, entry, form)
        models = {name: model.license for name, model in config.models.items()}
        fingerprint = content_id(_fingerprint_export(reader, entry, form, iteration), models)
        if has_layouts:
            fingerprint = content_id(fingerprint, "conversations")
        if form.code:
            fingerprint = content_id(fingerprint, form.code)
        if form.needs_transcripts:
            fingerprint = content_id(fingerprint, _select_judges(reader, config, transcripts))
        elif form.needs_judgments:
            select_panel(reader, config.panel_names)
            fingerprint = content_id(fingerprint, reader.rows("FROM panel ORDER BY ALL"))
        if is_intact(target, fingerprint) and (
            is_done(lake, "export", entry.path, fingerprint) or not _is_writable(lake)
        ):
            return ExportResult(target, form.name, 0, snapshot, Counts(), skipped=True)
        _refuse_doubtful(reader, entry)
        refuse_foreign(target, owned=list_export_files, noun=NOUN)  # before the work, not only after it
        with temporary_beside(target) as spill:
            _bound_memory(reader, spill)
            read_terms(reader, config, entry)
            mask_texts(reader, entry, form)
            counts = _select_rows(reader, entry, form, iteration)
            layout = choose_layout(reader) if has_layouts else PLAIN
            tables: Sequence[ExportTable] = form.list_tables(transcripts, layout=layout)
            tables = add_terms(reader, entry, form, tables)
            with atomic_directory(target, owned=list_export_files, noun=NOUN) as folder:
                parts = _write_tables(reader, folder, entry, form, tables, iteration, counts, track)
                written = {
                    part.name: [folder / file.path for file in part.files if file.path.endswith(".parquet")]
                    for part in parts
                }
                others = form.write_files(folder, written)
                losses = _list_losses(form, written)
                content = ExportContent(entry, form, tables, parts, counts, snapshot, iteration, losses)
                for name, page in render_pages(reader, config, content).items():
                    (folder / name).write_text(_clean_page(page, config), encoding="utf-8")
                manifest = _build_manifest(folder, content, config.digest, fingerprint, others)
                (folder / MANIFEST).write_text(_clean_page(manifest, config), encoding="utf-8")
    counts.details = {
        "snapshot": snapshot
    }  # which must be kept for as long as the export is to be made again
    if _is_writable(lake):
        run = run or StageRun(lake, "export", config_hash=entry.digest)
        with run.chunk(entry.path, fingerprint=fingerprint, status="done") as (_, recorded):
            recorded.add(counts)
    return ExportResult(target, form.name, sum(part.rows for part in parts), snapshot, counts)


def _refuse_doubtful(reader: Lake, entry: ExportEntry) -> None:
    """Refuse labels that may be worse than chance, where the settings say so."""
    doubts = read_serious_doubts(reader)
    if doubts and entry.doubtful == "refuse":
        raise CurateError(
            f"The export to {entry.path} is refused, since its labels are in doubt (`doubtful: refuse`). "
            + " ".join(doubts)
        )


def read_serious_doubts(reader: Lake) -> list[str]:
    """Read what the aggregation says of labels that may be worse than chance, one sentence each."""
    doubts = [str(sentence) for (sentence,) in reader.rows(read_query("doubts"))]
    return [sentence for sentence in doubts if "worse than chance" in sentence]


def _refuse_lake_folder(lake: Lake, target: Path) -> None:
    """Raise CurateError where an export would lie among the data files of the lake."""
    data = lake.location.data
    if is_local(data) and target.is_relative_to(Path(data).resolve()):
        raise CurateError(
            f"The export {target} would lie in the folder of the lake's own data: give it another `path`."
        )


def _choose_iteration(reader: Lake, entry: ExportEntry, form: ExportFormat) -> int | None:
    iterations = [row[0] for row in reader.rows("SELECT DISTINCT iteration FROM preferences ORDER BY 1")]
    if not iterations and form.needs_labels:
        if reader.value("SELECT count(*) FROM runs WHERE stage = 'aggregate' AND status = 'done'"):
            raise CurateError(
                f"There are no preferences to export to {entry.path}: no prompt has two responses that anybody has "
                "compared. Bring more responses or judgments, and run `curate aggregate` again."
            )
        raise CurateError(
            f"There are no preferences to export to {entry.path} yet: run `curate aggregate` first."
        )
    if entry.iteration is not None and entry.iteration not in iterations:
        raise CurateError(
            f"The export to {entry.path} asks for iteration {entry.iteration}, but the lake has "
            f"{', '.join(map(str, iterations)) or 'none'}: name one of those, or leave it out for the final one."
        )
    if entry.iteration is not None or not iterations:
        return entry.iteration
    return int(reader.value("SELECT iteration FROM final_iteration"))


def _fingerprint_export(reader: Lake, entry: ExportEntry, form: ExportFormat, iteration: int | None) -> str:
    """Identify the content of the export, wherever it is written and whichever runs made the rows.

    A training set holds one iteration's labels: judgments that have not led to other labels do not make it stale.
    """
    tables = {
        name: column
        for name, column in _APPEND_ONLY.items()
        if form.needs_transcripts or form.needs_judgments or not (form.needs_labels and name == "judgments")
    }
    digests = {table: reader.digest(table, column) for table, column in tables.items()}
    digests |= {
        f"certificate {name}": str(number) for name, number in reader.rows(read_query("certificate_newest"))
    }
    if reader.has("filter_decisions") and reader.value("SELECT count(*) FROM filter_decisions"):
        digests["filter_decisions"] = reader.digest("filter_decisions", 'row(item_id, action, "filter")')
    if masks := digest_masks(reader):
        digests["masks"] = masks
    digests |= {name: reader.digest(name, change) for name, change in form.reads_tables.items()}
    digests["sources"] = reader.digest("sources", f"row({', '.join(_TERMS)})")
    which = f"iteration = {iteration}" if form.needs_labels else "true"
    for table in filter(reader.has, _REPLACED):  # a snapshot may be from before some
        columns = [f'"{name}"' for name in TABLES[table].model_fields if name not in _NOT_CONTENT]
        digests[table] = reader.digest(table, f"row({', '.join(columns)})", which)
    if getattr(form.options, "aspects", None):
        digests["aspect_preferences"] = reader.digest(
            "aspect_preferences", "row(prompt_id, response_a, response_b, aspect, p_a)"
        )
    return content_id(_VERSION, _list_settings(entry), digests)


def _select_judges(reader: Lake, config: Config, transcripts: Transcriber | None) -> list[tuple[str, str]]:
    """Make `current_judgments` and the table `transcribed` of the judges whose chats can be made."""
    if transcripts is None:
        raise ValueError("formats of judges need transcripts: export through curate.pipeline.export")
    select_panel(reader, config.panel_names)
    with reader.bind("known_judges", transcripts.judges):
        reader.rows("CREATE OR REPLACE TEMP TABLE transcribed AS FROM known_judges")
    return reader.rows("FROM transcribed ORDER BY ALL")


def _list_settings(entry: ExportEntry) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude={"path"})


def _select_rows(reader: Lake, entry: ExportEntry, form: ExportFormat, iteration: int | None) -> Counts:
    values = {**_list_settings(entry), **form.selection_values, "iteration": iteration}
    reader.rows(read_query(form.selection), [values[name] for name in form.selection_parameters])
    if form.is_split:  # raw tables leave nothing out
        reader.rows(read_query("export_leave_filtered"))
    apply_licenses(reader, entry, form)
    _keep_pairs(reader, entry, form, iteration)
    if entry.splits is not None:
        if not form.is_split:
            raise CurateError(
                f"The export to {entry.path} has several tables, which `splits` do not divide: leave it out."
            )
        select_splits(reader, entry)
    reasons = dict(reader.rows("SELECT reason, count(*) FROM selection GROUP BY reason ORDER BY reason"))
    kept = reasons.pop(None, 0)
    counts = Counts(rows_in=kept + sum(reasons.values()), rows_kept=kept, dropped=reasons)
    if not kept:
        reason = _list_reasons(reasons) or " (the lake has none)"
        raise CurateError(
            f"The export to {entry.path} would be empty, since none of its {form.unit} is left over{reason}: "
            "change its settings under `export` in curate.yaml."
        )
    return counts


def _keep_pairs(reader: Lake, entry: ExportEntry, form: ExportFormat, iteration: int | None) -> None:
    """Leave out pairs that `models` and `pairs` of the settings do not want."""
    for is_set, name in ((entry.models, "models"), (entry.pairs != "all", "pairs")):
        if is_set and form.unit != "pairs":
            raise CurateError(
                f"The export to {entry.path} has {form.unit}, but `{name}` chooses among pairs: leave it out, or take "
                "a format of pairs."
            )
    if entry.models:
        reader.rows(read_query("export_keep_models"), [entry.models])
    if entry.pairs == "best-worst":
        reader.rows(read_query("export_keep_extremes"), [iteration])


def _list_reasons(dropped: Mapping[str, int]) -> str:
    reasons = ", ".join(f"{reason}: {number:,}" for reason, number in dropped.items())
    return f" ({reasons})" if reasons else ""


def _write_tables(
    reader: Lake,
    folder: Path,
    entry: ExportEntry,
    form: ExportFormat,
    tables: Sequence[ExportTable],
    iteration: int | None,
    counts: Counts,
    track: Track,
) -> list[WrittenPart]:
    values = {"iteration": iteration}
    parts = []
    with track(f"export {entry.path}", counts.rows_kept if form.is_split else None) as advance:
        for part_name, table in _list_parts(reader, entry, tables):
            parameters = [values[name] for name in table.parameters]
            # Several tables are copied as they are, one of them without prompts.
            read = stream_slices if form.is_split else _read_table
            stream = read(reader, table, parameters)
            groups = cut_row_groups(table.convert(stream), table.schema)
            parts.append(
                write_part(folder, part_name, table.schema, groups, jsonl=entry.jsonl, advance=advance)
            )
    counts.dropped.update(form.dropped)
    counts.rows_kept -= sum(form.dropped.values())
    if isinstance(form, RowFormat):
        for part in parts:
            if not part.rows:
                where = f" in `{part.name}`" if len(parts) > 1 else ""
                raise CurateError(
                    f"The export to {entry.path} would be empty{where}, since the format {form.name!r} writes no row "
                    f"of {counts.rows_in:,} {form.unit}{_list_reasons({**counts.dropped, **form.losses})}."
                )
    elif form.is_split and (written := sum(part.rows for part in parts)) != counts.rows_kept:
        raise AssertionError(f"{entry.path}: {written} rows written of {counts.rows_kept} selected")
    return parts


def _read_table(reader: Lake, table: ExportTable, parameters: Sequence[object]) -> Iterator[pa.RecordBatch]:
    return iter(reader.batches(table.query, parameters))


def _list_losses(form: ExportFormat, written: Mapping[str, Sequence[Path]]) -> dict[str, int]:
    """Return what the written rows do not say or bring along: what → how often."""
    number = count_local_images(file for files in written.values() for file in files)
    return {**form.losses, **({LOSS: number} if number else {})}


def _list_parts(
    reader: Lake, entry: ExportEntry, tables: Sequence[ExportTable]
) -> Iterator[tuple[str, ExportTable]]:
    """Yield each table with the name of its files; with splits, the selection holds the split of that name."""
    if entry.splits is None:
        yield from ((table.name, table) for table in tables)
        return
    reader.rows("CREATE OR REPLACE TEMP TABLE whole_selection AS FROM selection")
    for name in entry.splits:
        reader.rows("CREATE OR REPLACE TEMP TABLE selection AS FROM whole_selection WHERE part = $1", [name])
        yield from ((name, table) for table in tables)
    reader.rows("CREATE OR REPLACE TEMP TABLE selection AS FROM whole_selection")


def _bound_memory(reader: Lake, spill: Path) -> None:
    memory = _MEMORY_PER_THREAD * max(2, int(reader.value("SELECT current_setting('threads')")))
    reader.rows(f"SET temp_directory = {quote_text(spill)}")  # before it is needed
    reader.rows(f"SET memory_limit = '{memory}MiB'")


def _build_manifest(
    folder: Path, content: ExportContent, config_hash: str, fingerprint: str, others: Sequence[Path]
) -> str:
    files = [file for part in content.parts for file in part.files]
    files += [
        describe_file(path, folder) for path in (*others, folder / "README.md", folder / croissant.NAME)
    ]
    document = {
        "curate_export": _VERSION,
        "format": content.format.name,
        "settings": _list_settings(content.entry),
        "config_hash": config_hash,
        "code_version": __version__,
        "snapshot": content.snapshot,
        "iteration": content.iteration,
        "fingerprint": fingerprint,
        "counts": {
            "unit": content.format.unit,
            "in": content.selected.rows_in,
            "kept": content.selected.rows_kept,
            "dropped": content.selected.dropped,
        },
        "losses": dict(content.losses),
        "tables": {part.name: {"rows": part.rows, "row_hash": part.row_hash} for part in content.parts},
        "files": [asdict(file) for file in files],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _clean_page(text: str, config: Config) -> str:
    """Take secrets and paths of this machine out of a page that goes to others."""
    return scrub_text(hide_paths(text, config.resolve(".")))


def _is_writable(lake: Lake) -> bool:
    return not lake.value("SELECT readonly FROM duckdb_databases() WHERE database_name = 'lake'")
