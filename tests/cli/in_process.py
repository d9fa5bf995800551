"""Run a command in this process, which has imported all already, with streams of its own.

A process of its own takes half a second more, for imports. Start one where the test is about processes: signals,
the end of the interpreter, what is imported.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from curate.cli.app import main


@dataclass(frozen=True)
class Done:
    """What a command left, as of `subprocess.run`."""

    returncode: int
    stdout: str
    stderr: str


def run_command(folder: Path, *arguments: str, **environment: str) -> Done:
    """Run `curate ARGUMENTS` in a folder; what it writes to the descriptors of the process is caught too."""
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        patch.chdir(folder)
        patch.delenv("NO_COLOR", raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["curate", *arguments])
        saved = os.dup(1), os.dup(2)
        streams = [open(os.dup(file.fileno()), "w", encoding="utf-8") for file in (out, err)]  # noqa: PTH123, SIM115
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            for stream in streams:
                stream.close()
            for number, descriptor in enumerate(saved, 1):
                os.dup2(descriptor, number)
                os.close(descriptor)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8"))
        return Done(code, *texts)
