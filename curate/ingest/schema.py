"""The columns that a table must have for its format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from curate.config.ingest import Fields, Source
from curate.core.errors import CurateError
from curate.data.native import JudgmentsRow, ResponsesRow
from curate.ingest.decoders import merge_fields
from curate.ingest.paths import get_column
from curate.ingest.ratings import MODELS
from curate.ingest.shapes import open_shape
from curate.ingest.tables import ColumnCheck

# Fields that say nothing of the shape of a row.
_BESIDE = frozenset(
    {"id", "meta", "reference", "system", "input", "history", "images", "tools", "ignore", "best", "optional"}
    | {"roles", "json_columns", "transcript"}
)


def make_column_check(source: Source, where: Path | str) -> ColumnCheck:
    """Return a check of a table's column names against the source's format; its error names both."""

    def check(names: Sequence[str]) -> None:
        if source.format == "auto":
            return  # what it is, is not known yet
        columns = {*names, *(join.name for join in source.join)}
        if source.format == "native" and source.fields is None:
            problem = _explain_native_problem(source, columns)
        else:
            alternatives = list_column_alternatives(source)
            fits = any(all(_has_column(columns, path) for path in needed) for needed in alternatives)
            problem = (
                None if fits else "needs " + " or ".join(_list_names(sorted(paths)) for paths in alternatives)
            )
        if problem:
            have = _list_names(sorted(columns)) if columns else "none"
            raise CurateError(
                f"{where} has the columns {have}, but format {source.format!r} of {source.kind} {problem}: "
                "map the columns with `fields`, or choose another `format`."
            )

    return check


def list_column_alternatives(source: Source) -> list[frozenset[str]]:
    """List alternatives of paths into the columns, one of which must be there."""
    own = source.fields or Fields()
    if source.kind == "judgments":
        paths = {name: getattr(own, name) or name for name in ("prompt", "a", "b")}
        winners = [] if own.verdicts or own.score_a else [own.winner or "winner"]
        return [frozenset([*paths.values(), *(path for path in winners if isinstance(path, str))])]
    shape = open_shape(source.format)
    if shape.columns and not own.model_fields_set - _BESIDE:
        return list(shape.columns)
    fields = merge_fields(shape.fields, own)
    if fields.chosen is not None:
        return [_collect_paths(fields.chosen, fields.rejected)]
    if fields.a is not None:
        return [_collect_paths(fields.a, fields.b, fields.prompt)]
    if fields.response is not None:
        return [_collect_paths(fields.response, fields.prompt)]
    if isinstance(fields.responses, str):
        return [_collect_paths(fields.prompt, fields.responses)]
    columns = fields.responses.values() if isinstance(fields.responses, dict) else fields.responses or []
    return [_collect_paths(fields.prompt, path) for path in columns] or [_collect_paths(fields.prompt)]


def list_text_columns(source: Source) -> frozenset[str]:
    """List columns that hold responses as plain text, where an empty cell is an empty response."""
    if source.kind != "responses" or (source.format in ("native", "auto") and source.fields is None):
        return frozenset()
    fields = merge_fields(open_shape(source.format).fields, source.fields)
    several = fields.responses
    columns = several.values() if isinstance(several, dict) else several if isinstance(several, list) else ()
    names = (
        fields.chosen,
        fields.rejected,
        fields.a,
        fields.b,
        fields.response,
        fields.response_text,
        *columns,
    )
    return frozenset(name for name in names if name is not None)


def _explain_native_problem(source: Source, columns: set[str]) -> str | None:
    model = {"responses": ResponsesRow, "judgments": JudgmentsRow, **MODELS}[source.kind]
    needed = {name for name, info in model.model_fields.items() if info.is_required()}
    if source.annotator_kind is not None:
        needed -= {"kind"}
    if needed <= columns <= set(model.model_fields):
        return None
    optional = sorted(set(model.model_fields) - needed)
    return f"needs {_list_names(sorted(needed))}, may have {_list_names(optional)}, and takes no others"


def _collect_paths(*paths: str | None) -> frozenset[str]:
    return frozenset(path for path in paths if path is not None)


def _has_column(columns: set[str], path: str) -> bool:
    """Tell whether there is such a column, its dots included, or one whose objects the path goes into."""
    return get_column(path, frozenset(columns)) in columns


def _list_names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
