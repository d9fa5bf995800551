"""Which catalogs keep their files in a data folder: each leaves a claim there.

A claim is a file `curate-catalog-….json` with the lake's id and where its catalog is. `curate gc` deletes nothing in a
folder that lacks the claim of its own catalog, or that has the claim of another one.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import duckdb

from curate.core.identity import content_id
from curate.core.sql_text import quote_text
from curate.lake.execute import execute

CLAIMS = "curate-catalog-*.json"
_FILES = "main/*/*.parquet"  # where DuckLake puts the files of tables
METADATA = "__ducklake_metadata_lake"  # DuckLake's own name for the attached catalog


@dataclass(frozen=True, slots=True)
class Claim:
    """`lake`: the id that DuckLake gave the lake when it was made; a copy of the catalog has the same.

    `catalog`: tells copies apart. It is the path of a SQLite catalog as seen from the data folder, so that both can be
    moved together, or the database and table of a PostgreSQL catalog.
    """

    lake: str
    catalog: str

    @property
    def file_name(self) -> str:
        return CLAIMS.replace("*", content_id(self.lake, self.catalog)[:16])

    @property
    def text(self) -> str:
        """The content of its file in a local folder."""
        return json.dumps({"lake": self.lake, "catalog": self.catalog}) + "\n"

    @classmethod
    def parse(cls, text: str) -> Claim:
        """Read a claim. One that cannot be read is nobody's, and so differs from every other."""
        try:
            content = json.loads(text)
            return cls(str(content["lake"]), str(content["catalog"]))
        except (ValueError, KeyError, TypeError):
            return cls("", "unreadable")


def read_claim(connection: duckdb.DuckDBPyConnection, catalog: str, data: str) -> Claim:
    """Read the claim that the attached lake has, from its catalog."""
    query = f"SELECT schema_uuid::VARCHAR FROM {METADATA}.ducklake_schema WHERE schema_id = 0"
    return Claim(lake=_fetch_value(connection, query), catalog=_locate_catalog(connection, catalog, data))


def list_claims(connection: duckdb.DuckDBPyConnection, data: str) -> dict[str, Claim]:
    """List the claims in a data folder, by the path of their file."""
    if not is_local(data):
        query = f"SELECT filename, content FROM read_text({quote_text(_join_path(data, CLAIMS))})"
        try:
            texts = dict(connection.execute(query).fetchall())
        except duckdb.IOException:  # none matches
            return {}
    else:
        texts = {
            str(file): file.read_text(encoding="utf-8", errors="replace") for file in list_claim_files(data)
        }
    return {file: Claim.parse(text) for file, text in texts.items()}


def list_claim_files(data: str) -> list[Path]:
    """List the files of claims in a local data folder."""
    return sorted(Path(data).glob(CLAIMS))


def has_claim(connection: duckdb.DuckDBPyConnection, data: str, claim: Claim) -> bool:
    """Tell whether the claim is in the data folder, by the name of its file alone."""
    if is_local(data):
        return (Path(data) / claim.file_name).exists()
    # All claims, since a path without * would be given back unseen.
    claims = _list_matches(connection, _join_path(data, CLAIMS))
    return any(file.endswith(f"/{claim.file_name}") for file in claims)


def write_claim(connection: duckdb.DuckDBPyConnection, data: str, claim: Claim) -> None:
    """Leave a claim in a data folder."""
    if is_local(data):
        Path(data).mkdir(parents=True, exist_ok=True)
        (Path(data) / claim.file_name).write_text(claim.text, encoding="utf-8")
        return
    columns = f"{quote_text(claim.lake)} AS lake, {quote_text(claim.catalog)} AS catalog"
    target = quote_text(_join_path(data, claim.file_name))
    connection.execute(f"COPY (SELECT {columns}) TO {target} (FORMAT json)")


def list_files(connection: duckdb.DuckDBPyConnection, data: str) -> list[str]:
    """List the Parquet files of tables in a data folder, whoever wrote them."""
    if is_local(data):
        return [str(file) for file in Path(data).glob(_FILES)]
    return _list_matches(connection, _join_path(data, _FILES))


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that the catalog names: `rows` of a table, or (`deletes`) which rows of another file are deleted.

    `current`: whether the newest snapshot needs it.
    """

    table: str
    path: str
    rows: int
    bytes: int
    deletes: bool
    current: bool


def list_data_files(connection: duckdb.DuckDBPyConnection, data: str) -> list[DataFile]:
    """List the files that the attached catalog names for any snapshot."""
    folders = {
        table: (name, f"{schema_path}{table_path}")
        for table, name, schema_path, table_path in connection.execute(
            "SELECT table_id, table_name, coalesce(schemas.path, ''), coalesce(tables.path, '') "
            f"FROM {METADATA}.ducklake_table AS tables JOIN {METADATA}.ducklake_schema AS schemas "
            "USING (schema_id)"
        ).fetchall()
    }
    files = []
    for kind, count in (("data", "record_count"), ("delete", "delete_count")):
        rows = connection.execute(
            f"SELECT table_id, path, path_is_relative, {count}, file_size_bytes, end_snapshot IS NULL "
            f"FROM {METADATA}.ducklake_{kind}_file"
        ).fetchall()
        for table, path, is_relative, number, size, current in rows:
            name, folder = folders.get(table, (f"table {table}", ""))
            full = _join_path(data, f"{folder}{path}") if is_relative else path
            files.append(DataFile(name, full, number, size, kind == "delete", bool(current)))
    return files


def list_scheduled(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """List the names of the files that `curate gc` will delete."""
    query = f"SELECT path FROM {METADATA}.ducklake_files_scheduled_for_deletion"
    return {Path(path).name for (path,) in connection.execute(query).fetchall()}


def forget_scheduled_files(connection: duckdb.DuckDBPyConnection, names: set[str]) -> None:
    """Take files, by name, from the list of those that are to be deleted."""
    table = f"{METADATA}.ducklake_files_scheduled_for_deletion"
    rows = connection.execute(f"SELECT data_file_id, path FROM {table}").fetchall()
    gone = [number for number, path in rows if Path(path).name in names]
    if gone:
        execute(connection, f"DELETE FROM {table} WHERE data_file_id IN (SELECT unnest(?))", [gone])


def count_listed(connection: duckdb.DuckDBPyConnection) -> int:
    """Count the data files that the attached catalog lists, wherever they are."""
    return int(_fetch_value(connection, f"SELECT count(*) FROM {METADATA}.ducklake_data_file"))


def has_files(connection: duckdb.DuckDBPyConnection, data: str) -> bool:
    """Tell whether a data folder holds the files or the claim of a lake."""
    return bool(list_claims(connection, data) or list_files(connection, data))


def is_local(data: str) -> bool:
    """Tell whether a data path is a folder, and not the URL of a bucket."""
    return "://" not in data


def _locate_catalog(connection: duckdb.DuckDBPyConnection, catalog: str, data: str) -> str:
    if catalog.startswith(("postgresql://", "postgres://")):
        # Not its address: machines may know one server by several names. A copy made by a dump has other numbers.
        inside = (
            "SELECT datname || ''/'' || oid::text || ''/'' || ''ducklake_schema''::regclass::oid::text "
            "FROM pg_database WHERE datname = current_database()"
        )
        return "postgresql " + _fetch_value(
            connection, f"SELECT * FROM postgres_query('{METADATA}', '{inside}')"
        )
    path = Path(catalog).resolve()
    return os.path.relpath(path, Path(data).resolve()) if is_local(data) else str(path)


def hide_password(catalog: str) -> str:
    """Return where a catalog is, without user and password."""
    if "://" not in catalog:
        return catalog
    parts = urlsplit(catalog)
    host = parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", [""])[0]
    return f"{parts.scheme}://{host}{parts.path}"


def _list_matches(connection: duckdb.DuckDBPyConnection, pattern: str) -> list[str]:
    return [file for (file,) in execute(connection, "SELECT file FROM glob(?)", [pattern]).fetchall()]


def _fetch_value(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    row = connection.execute(query).fetchone()
    if row is None:
        raise AssertionError(query)
    return str(row[0])


def _join_path(data: str, name: str) -> str:
    return f"{data.rstrip('/')}/{name}"
