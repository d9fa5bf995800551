"""Whatever ends a command is one sentence and an exit code; a traceback only for who asks (fault 28)."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.cli.failures import SOFTWARE_FAULT, explain_failure, is_debugging
from curate.core.errors import CurateError
from tests.cli.test_app import call, project

__all__ = ["project"]

MAIN = [sys.executable, "-c", "from curate.cli.app import main; main()"]


def start(folder: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_COLOR": "1", **options.pop("env", {})}  # type: ignore[dict-item]
    for name in options.pop("without", []):  # type: ignore[attr-defined]
        environment.pop(name, None)
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [*MAIN, *arguments], cwd=folder, env=environment, text=True, timeout=300, check=False,
        **{"capture_output": True} | options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/d/file"),
            "Cannot work with /d/file: the disk is full",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/d/file"), "check who owns it"),
        (OSError(errno.EROFS, "Read-only file system", "/d"), "its disk can only be read"),
        (OSError(errno.ELOOP, "Too many levels of symbolic links", "/d"), "links run in a circle"),
        (OSError(errno.EIO, "Input/output error", "/d"), "the disk fails"),
        (OSError(errno.EMFILE, "Too many open files", "/d"), "ulimit -n"),
        (
            FileNotFoundError(errno.ENOENT, "No such file", "a.txt"),
            "Cannot work with a.txt: it is not there.",
        ),
        (OSError("odd"), "Odd."),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "not UTF-8"),
        (RecursionError(), "nested too deeply"),
        (MemoryError(), "memory is used up"),
        (RuntimeError("Could not determine home directory."), "HOME"),
        (pa.ArrowInvalid("Invalid UTF8 payload"), "Invalid UTF8 payload"),
        (CurateError("As it is."), "As it is."),
    ],
)
def test_fault_28_what_is_known_is_a_sentence(error: BaseException, part: str) -> None:
    sentence, code = explain_failure(error)
    assert part in sentence
    assert code == 1
    assert sentence.endswith(".")


def test_what_is_not_known_is_a_fault_of_ours() -> None:
    sentence, code = explain_failure(ZeroDivisionError("division by zero"))
    assert code == 70
    assert "ZeroDivisionError: division by zero" in sentence
    assert "--debug" in sentence


@pytest.mark.parametrize(
    ("arguments", "left", "debugging"),
    [
        (["status"], ["status"], False),
        (["--debug", "status"], ["status"], True),
        (["status", "--debug"], ["status"], True),
        (["sql", "--", "--debug"], ["sql", "--", "--debug"], False),
    ],
)
def test_debug_may_stand_anywhere(arguments: list[str], left: list[str], debugging: bool) -> None:
    assert is_debugging(arguments) is debugging
    assert arguments == left


def test_the_variable_asks_for_a_traceback_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_DEBUG", "1")
    assert is_debugging([])
    monkeypatch.setenv("CURATE_DEBUG", "0")
    assert not is_debugging([])


JUDGE = """
from curate.judge.base import Answer, Judge

class Mine(Judge):
    kind = "rule"
    def questions(self, item):
        raise LookupError("my list is empty [/x]")
    def answer(self, questions):
        return [Answer(outcome="a") for _ in questions]
"""
CONFIG = """
ingest: [{source: responses.jsonl}]
judge: {judges: [{name: mine, kind: "./mine.py:Mine"}]}
"""


def test_an_error_of_the_users_own_file_names_its_line(project: Path) -> None:
    (project / "mine.py").write_text(JUDGE)
    (project / "curate.yaml").write_text(CONFIG)
    assert start(project, "ingest").returncode == 0
    done = start(project, "judge")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "mine.py" in done.stderr
    assert "LookupError: my list is empty [/x]" in done.stderr
    traced = start(project, "judge", "--debug")
    assert "Traceback" in traced.stderr
    assert traced.stderr.splitlines()[-1].startswith("error:")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"a: [1,\n", "not valid YAML"),
        (b"a: \0", "not valid YAML"),
        (b"a: 2024-13-45", "not valid YAML"),
        (b"\xff\xfe\xfd", "is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"a: &a [*a]", "values"),
        (b"- 1", "must hold a mapping"),
        (b"x: !!python/object/apply:os.system [id]", "not valid YAML"),
    ],
)
def test_odd_configurations_are_one_sentence(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    part: str,
) -> None:
    (project / "curate.yaml").write_bytes(content)
    assert call(monkeypatch, "status") == 1
    error = capsys.readouterr().err
    assert part in " ".join(error.split())
    assert "Traceback" not in error


def test_fault_34_aliases_do_not_multiply_without_end(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (project / "curate.yaml").write_text(
        "engines:\n  e:\n    extra:\n" + "".join(f"      {line}\n" for line in lines)
    )
    assert call(monkeypatch, "status") == 1
    assert "aliases" in capsys.readouterr().err
    (project / "curate.yaml").write_text(
        "ingest:\n  - &one {source: responses.jsonl}\n  - {<<: *one, split: test}\n"
    )
    assert call(monkeypatch, "ingest") == 0


def test_a_full_disk_is_a_sentence(project: Path) -> None:
    assert start(project, "ingest").returncode == 0
    with Path("/dev/full").open("wb") as full:
        done = start(project, "status", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert "disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    for command in (
        ["sql", "SELECT 1", "-o", "/dev/full", "--force"],
        ["report", "-o", "/dev/full", "--force"],
    ):
        done = start(project, *command)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_closed_folder_is_a_sentence(project: Path) -> None:
    project.chmod(0o500)
    try:
        done = start(project, "ingest")
    finally:
        project.chmod(0o700)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


def test_links_in_a_circle_and_names_that_are_no_text_are_sentences(project: Path) -> None:
    (project / "round.jsonl").symlink_to("round.jsonl")
    odd = os.fsdecode(b"odd-\xff.jsonl")
    (project / odd).write_bytes((project / "responses.jsonl").read_bytes())
    for name in ("round.jsonl", odd, "x" * 5000):
        done = start(project, "ingest", "responses", name)
        assert done.returncode in (0, 1), done.stderr
        assert "Traceback" not in done.stderr
    done = start(project, "-c", "round.jsonl", "status")
    assert "Traceback" not in done.stderr


def test_bad_text_in_parquet_is_a_sentence(project: Path) -> None:
    texts = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]
    )
    pq.write_table(pa.table({"prompt": texts, "responses": texts}), project / "bad.parquet")
    done = start(project, "ingest", "responses", "bad.parquet")
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr


def test_fault_33_no_home_and_one_that_cannot_be_written_do_no_harm(project: Path) -> None:
    done = start(project, "ingest", without=["HOME", "USER", "LOGNAME"])
    assert done.returncode == 0, done.stderr
    done = start(project, "run", env={"HOME": "/proc"})  # cannot be written
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stdout


@pytest.mark.parametrize(
    "words", ["disk I/O error", "database disk image is malformed", "Too many open files"]
)
def test_an_error_of_the_disk_is_a_sentence_whatever_type_the_database_gives_it(words: str) -> None:
    sentence, code = explain_failure(duckdb.InvalidInputException(f"Failed to prepare query: {words}"))
    assert code == 1
    assert sentence.startswith("The lake's database cannot go on: Failed to prepare query")
    assert ("curate check" in sentence) == ("malformed" in words)
    assert explain_failure(duckdb.InvalidInputException("no parameter 3"))[1] == SOFTWARE_FAULT


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_sign_that_the_locale_does_not_have_ends_no_command(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(
        '{"prompt": "p", "chosen": "Łódź", "rejected": "b"}\n', encoding="utf-8"
    )
    (tmp_path / "curate.yaml").write_text("ingest: [{source: rows.jsonl}]")
    main = [
        sys.executable,
        "-c",
        "import sys; from curate.cli.app import main; sys.argv[0] = 'curate'; main()",
    ]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    query = "SELECT messages[1].content[1].text AS text FROM responses ORDER BY 1 DESC LIMIT 1"
    for words in (["ingest"], ["status"], ["sql", "-f", "json", query]):
        done = subprocess.run(
            [*main, *words], cwd=tmp_path, capture_output=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{"text": "Łódź"}]
