"""A bucket of an S3-compatible server: how it is reached, from the variables that other programs read too.

`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` (with `AWS_SESSION_TOKEN`), `AWS_REGION` or `AWS_DEFAULT_REGION`, and
for servers other than Amazon's `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import duckdb

from curate.core.errors import CurateError
from curate.core.sql_text import quote_text

SCHEME = "s3://"


@dataclass(frozen=True, slots=True)
class BucketAccess:
    """The keys and the place of a bucket. `endpoint`: URL of the server; "" for Amazon's."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    token: str = field(repr=False)
    region: str
    endpoint: str

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> BucketAccess:
        """Read it from the environment.

        Raises:
            CurateError: A variable is missing, or the endpoint is no URL.
        """
        given = os.environ if environment is None else environment
        missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not given.get(name)]
        if missing:
            raise CurateError(
                f"The lake's data is in a bucket, and {' and '.join(missing)} is not set in the environment: set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_REGION, and AWS_ENDPOINT_URL for a server that is "
                "not Amazon's."
            )
        endpoint = given.get("AWS_ENDPOINT_URL_S3") or given.get("AWS_ENDPOINT_URL") or ""
        if endpoint and not (endpoint.startswith(("http://", "https://")) and urlsplit(endpoint).hostname):
            raise CurateError(f"AWS_ENDPOINT_URL must be like https://host:port, not {endpoint!r}.")
        return cls(
            key=given["AWS_ACCESS_KEY_ID"],
            secret=given["AWS_SECRET_ACCESS_KEY"],
            token=given.get("AWS_SESSION_TOKEN", ""),
            region=given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION") or "us-east-1",
            endpoint=endpoint.rstrip("/"),
        )


def refuse_other_schemes(data: str) -> None:
    """Raise CurateError where the data is at an address that is no S3 bucket."""
    if "://" in data and not data.startswith(SCHEME):
        raise CurateError(
            f"lake.data is {data!r}: name a folder, or a bucket of an S3-compatible server (`s3://bucket/folder`)."
        )


def create_secret(connection: duckdb.DuckDBPyConnection) -> None:
    """Let a connection reach buckets. Nothing is written to the disk."""
    access = BucketAccess.read()
    options = {"KEY_ID": access.key, "SECRET": access.secret, "REGION": access.region}
    if access.token:
        options["SESSION_TOKEN"] = access.token
    if access.endpoint:
        parts = urlsplit(access.endpoint)
        options["ENDPOINT"] = parts.netloc + parts.path
        options["URL_STYLE"] = "path"  # other servers seldom have a host name for each bucket
    listed = ", ".join(f"{name} {quote_text(value)}" for name, value in options.items())
    secure = "false" if access.endpoint.startswith("http://") else "true"
    connection.execute(f"CREATE OR REPLACE SECRET curate_bucket (TYPE s3, {listed}, USE_SSL {secure})")
    for setting in ("s3_access_key_id", "s3_secret_access_key", "s3_session_token"):
        connection.execute(
            f"SET {setting} = ''"
        )  # the extension has read them too, and a query could show them


def open_file_system() -> Any:
    """Return Arrow's file system of the server; a path in it is `bucket/folder/file`."""
    return _open_file_system(BucketAccess.read())


@lru_cache(maxsize=1)
def _open_file_system(access: BucketAccess) -> Any:
    from pyarrow import fs

    return fs.S3FileSystem(
        access_key=access.key,
        secret_key=access.secret,
        session_token=access.token or None,
        region=access.region,
        endpoint_override=access.endpoint or None,
        connect_timeout=10,
    )


def strip_scheme(path: str) -> str:
    """Return the path of `s3://bucket/file` in Arrow's file system."""
    return path.removeprefix(SCHEME)
