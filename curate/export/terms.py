"""The terms of the exported rows: which licences are allowed, and where each row comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pyarrow as pa

from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.export.formats.base import Batches, ExportFormat, ExportTable
from curate.lake.lake import Lake

REASON = "licence not allowed"
_COLUMNS = (pa.field("sources", pa.list_(pa.string())), pa.field("licenses", pa.list_(pa.string())))
_MANY = 5  # sources that an error names


def read_terms(reader: Lake, config: Config, entry: ExportEntry) -> None:
    """Make the temporary table `item_terms`, and `barred_items` where the entry says which licences are allowed."""
    # Through polars: pyarrow imports pandas to look at a list, which costs more than the query.
    models = {name: model.license for name, model in config.models.items()}
    columns = {"model": list(models), "license": list(models.values())}
    with reader.bind("model_terms", pl.DataFrame(columns, schema={"model": pl.String, "license": pl.String})):
        reader.rows(read_query("export_terms"))
    if entry.licenses is not None:
        allowed = [name.lower() for name in entry.licenses]
        with reader.bind("allowed", pl.DataFrame({"license": allowed}, schema={"license": pl.String})):
            reader.rows(read_query("export_barred_items"))


def apply_licenses(reader: Lake, entry: ExportEntry, form: ExportFormat) -> None:
    """Leave rows out of the `selection` whose licence is not among those allowed, or refuse the export.

    Raises:
        CurateError: There are such rows, and `other_licenses` says `refuse`.
    """
    if entry.licenses is None:
        return
    columns = {name for name, *_ in reader.rows("DESCRIBE selection")}
    of_prompts = "SELECT prompt_id FROM barred_items WHERE kind IN ('prompt', 'judgment')"
    of_responses = "SELECT id FROM barred_items WHERE kind IN ('response', 'model')"
    if "responses" in columns:
        listed = "SELECT rowid AS row, unnest(responses) AS id FROM selection"
        named = f"SELECT row FROM ({listed}) WHERE id IN ({of_responses})"
        barred = f"prompt_id IN ({of_prompts}) OR rowid IN ({named})"
    else:
        barred = "prompt_id IN (SELECT prompt_id FROM barred_items)"
        if "prompt_id" not in columns:
            barred = f"judgment_id IN (SELECT judgment_id FROM judgments WHERE {barred})"
    where = f"reason IS NULL AND ({barred})"
    number = int(reader.value(f"SELECT count(*) FROM selection WHERE {where}"))
    if number and entry.other_licenses == "refuse":
        kept = int(reader.value("SELECT count(*) FROM selection WHERE reason IS NULL"))
        raise CurateError(
            f"The export to {entry.path} is refused, since the licences of {number:,} of its {kept:,} {form.unit} are "
            f"not among those allowed ({', '.join(entry.licenses)}): {_list_barred(reader)}. Write `license` beside "
            "these under `ingest` (of models under `models`), or `other_licenses: drop` in that entry of "
            "`export` to leave such rows out."
        )
    reader.rows(f"UPDATE selection SET reason = '{REASON}' WHERE {where}")


def add_terms(
    reader: Lake, entry: ExportEntry, form: ExportFormat, tables: Sequence[ExportTable]
) -> list[ExportTable]:
    """Add the columns `sources` and `licenses` to the tables, where the entry asks for them.

    Raises:
        CurateError: The rows of the format do not say which prompt they are of.
    """
    if not entry.terms:
        return list(tables)
    if form.is_split and "prompt_id" not in tables[0].schema.names:
        raise CurateError(
            f"The export to {entry.path} cannot have `terms`, since rows of the format {form.name!r} have no "
            "column `prompt_id`: leave `terms` out, or choose another format."
        )
    by_prompt = _read_by_prompt(reader)
    return [
        replace(
            table,
            schema=pa.schema([*table.schema, *_COLUMNS], table.schema.metadata),
            convert=_make_converter(table, by_prompt),
        )
        if "prompt_id" in table.schema.names
        else table
        for table in tables
    ]


def list_sources(reader: Lake) -> list[tuple[Any, ...]]:
    """List the sources of the selected rows: name, licence, origin, prompts. For the card."""
    columns = {name for name, *_ in reader.rows("DESCRIBE selection")}
    prompts = (
        "SELECT prompt_id FROM selection"
        if "prompt_id" in columns
        else ("SELECT prompt_id FROM judgments SEMI JOIN selection USING (judgment_id)")
    )
    kept = prompts if "prompt_id" not in columns else f"{prompts} WHERE reason IS NULL"
    return reader.rows(
        "SELECT source, license, origin, count(DISTINCT prompt_id) FROM item_terms "
        f"WHERE prompt_id IN ({kept}) GROUP BY ALL ORDER BY 4 DESC, 1, 2"
    )


def _read_by_prompt(reader: Lake) -> dict[str, tuple[list[str], list[str]]]:
    columns = {name for name, *_ in reader.rows("DESCRIBE selection")}
    selected = "true"
    if "responses" in columns:
        named = "SELECT unnest(responses) FROM selection WHERE reason IS NULL"
        selected = f"kind NOT IN ('response', 'model') OR id IN ({named})"
    rows = reader.rows(
        "SELECT prompt_id, list_sort(list(DISTINCT source) FILTER (source IS NOT NULL)), "
        f"list_sort(list(DISTINCT coalesce(license, 'unknown'))) FROM item_terms WHERE {selected} GROUP BY prompt_id"
    )
    return {prompt: (sources or [], licenses) for prompt, sources, licenses in rows}


def _make_converter(
    table: ExportTable, by_prompt: dict[str, tuple[list[str], list[str]]]
) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    def convert(batches: Batches) -> Iterator[pa.RecordBatch]:
        for batch in table.convert(batches):
            values = [by_prompt[prompt] for prompt in batch.column("prompt_id").to_pylist()]
            columns = [
                pa.array([value[i] for value in values], field.type) for i, field in enumerate(_COLUMNS)
            ]
            schema = pa.schema([*batch.schema, *_COLUMNS])
            yield pa.RecordBatch.from_arrays([*batch.columns, *columns], schema=schema)

    return convert


def _list_barred(reader: Lake) -> str:
    rows = reader.rows(
        "SELECT source, license, count(*) FROM item_terms SEMI JOIN barred_items USING (kind, id) "
        "GROUP BY ALL ORDER BY 3 DESC, 1"
    )
    named = [f"{source} ({license or 'no licence known'})" for source, license, _ in rows[:_MANY]]
    return ", ".join(named) + (f" and {len(rows) - _MANY} more" if len(rows) > _MANY else "")
