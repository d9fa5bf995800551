"""The database of a lake: its threads, and extensions from its packages alone."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from curate.core.errors import CurateError
from curate.lake.extensions import THREADS_VARIABLE, connect_duckdb
from curate.lake.lake import Lake


def read_setting(connection: duckdb.DuckDBPyConnection, name: str) -> object:
    row = connection.execute("SELECT current_setting(?)", [name]).fetchone()
    assert row is not None
    return row[0]


def test_threads_are_as_many_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "3")
    with connect_duckdb() as connection:
        assert read_setting(connection, "threads") == 3
    monkeypatch.delenv(THREADS_VARIABLE)
    with connect_duckdb() as connection, duckdb.connect() as other:
        assert read_setting(connection, "threads") == read_setting(other, "threads")


@pytest.mark.parametrize("threads", ["0", "-1", "two", "1.5"])
def test_another_number_of_threads_is_refused(monkeypatch: pytest.MonkeyPatch, threads: str) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, threads)
    with pytest.raises(CurateError, match=r"CURATE_THREADS is .*, and has to be a whole number of threads"):
        connect_duckdb()


def test_extensions_come_from_packages_alone(lake: Lake, tmp_path: Path) -> None:
    """Their signatures are not checked again, so nothing may load others: neither DuckDB itself nor a statement."""
    for name in ("autoinstall_known_extensions", "autoload_known_extensions"):
        assert lake.value("SELECT current_setting(?)", [name]) is False
    strange = tmp_path / "strange.duckdb_extension"
    strange.write_bytes(b"\x7fELF")
    for statement in (f"LOAD '{strange}'", f"INSTALL '{strange}'"):
        with pytest.raises(CurateError, match="neither installs nor loads extensions"):
            lake.run_statements(statement)
