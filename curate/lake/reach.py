"""Reach the servers of a lake: ask PostgreSQL for its version, and list the bucket. Nothing is changed."""

from __future__ import annotations

import duckdb

from curate.core.errors import CurateError
from curate.core.secrets import scrub_text
from curate.core.sql_text import quote_text
from curate.lake.bucket import BucketAccess, open_file_system, strip_scheme
from curate.lake.data_folder import hide_password
from curate.lake.extensions import connect_duckdb


def read_postgres_version(catalog: str) -> str:
    """Ask a PostgreSQL server for its version, such as `15.14`.

    Raises:
        CurateError: It does not answer, or does not let us in.
    """
    with connect_duckdb("postgres_scanner") as connection:
        try:
            connection.execute(f"ATTACH {quote_text(catalog)} AS catalog (TYPE postgres, READ_ONLY)")
            query = "SELECT current_setting(''server_version'') AS version"
            row = connection.execute(f"SELECT * FROM postgres_query('catalog', '{query}')").fetchone()
        except duckdb.Error as error:
            raise CurateError(
                f"{hide_password(catalog)} gives no answer: {_shorten(error, catalog)}"
            ) from error
    return str(row[0]).split()[0] if row else "unknown"


def reach_bucket(data: str) -> str:
    """List the folder of a lake in its bucket; return the server.

    Raises:
        CurateError: The server does not answer, the keys are wrong, or there is no such bucket.
    """
    access = BucketAccess.read()
    server = access.endpoint or f"Amazon S3 in {access.region}"
    from pyarrow import fs

    path = strip_scheme(data).strip("/")
    bucket = path.partition("/")[0]
    try:
        files = open_file_system()
        if files.get_file_info(bucket).type == fs.FileType.NotFound:
            raise CurateError(f"there is no bucket {bucket} at {server}")
        files.get_file_info(fs.FileSelector(path, allow_not_found=True))
    except OSError as error:
        raise CurateError(f"{data} at {server} gives no answer: {_shorten(error)}") from error
    return server


def _shorten(error: Exception, catalog: str = "") -> str:
    text = str(error).replace(catalog, hide_password(catalog)) if catalog else str(error)
    return scrub_text(" ".join(text.split()))[:300]
