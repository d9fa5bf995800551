"""What the machine refuses is one sentence; `--debug` shows the traceback."""

from __future__ import annotations

import errno
import sys

import duckdb
import pytest

from curate.cli import app as cli
from curate.cli.failures import explain_failure


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), "/data/x: the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), "/data/x: you have no permission"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (MemoryError(), "not enough memory"),
        (
            duckdb.IOException('IO Error: Could not write file "x": No space left on device'),
            "the disk is full",
        ),
        (duckdb.BinderException("Binder Error: no column\n  x"), "Binder Error: no column x"),
        (KeyError("messages"), "a fault of curate (KeyError: 'messages')"),
    ],
)
def test_a_failure_is_one_sentence_that_says_what_to_do(error: Exception, words: str) -> None:
    sentence = explain_failure(error)
    assert words in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("debug", [False, True])
def test_the_command_line_shows_a_traceback_only_when_asked(
    debug: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/data/x")

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.delenv("CURATE_DEBUG", raising=False)
    if debug:
        monkeypatch.setenv("CURATE_DEBUG", "1")
        with pytest.raises(OSError, match="No space left"):
            cli.main()
        return
    monkeypatch.setattr(sys, "argv", ["curate"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith(
        "error: What was committed is kept, but /data/x: the disk is full"
    )
