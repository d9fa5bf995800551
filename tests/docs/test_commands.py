"""Every `curate` command line of the documentation is one that the command line takes; the tutorial's are run."""

from __future__ import annotations

import csv
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from curate.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / name for name in ("README.md", "SKILL.md", "AGENTS.md", "CONTRIBUTING.md", "SECURITY.md")),
]
FENCE = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", re.M | re.S)
INLINE = re.compile(r"`curate ([a-z][^`\n]*)`")


def list_lines(page: Path) -> Iterator[str]:
    """Yield the command lines of the fenced blocks that are for a shell."""
    for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if language not in ("", "sh", "bash", "console"):
            continue
        joined = re.sub(r'"[^"]*"', lambda quoted: quoted[0].replace("\n", " "), block.replace("\\\n", " "))
        for line in joined.splitlines():
            for part in re.split(r"&&|;(?=\s)|\|(?=\s)", re.sub(r"\s#.*$", "", line)):
                words = part.strip()
                words = re.sub(r"^(\w+=\S+ +)*(\.venv/bin/)?", "", words)
                if words.startswith("curate "):
                    yield words


def parse(words: list[str]) -> None:
    """Let the real commands parse the words; nothing is run."""
    command: Any = get_command(app)
    context, name = None, "curate"
    while True:
        context = command.make_context(name, list(words), parent=context)
        if not hasattr(command, "commands"):
            return
        words = [*context._protected_args, *context.args]
        if not words:
            assert command.invoke_without_command, f"{name} needs a command"
            return
        name, command, words = command.resolve_command(context, words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_command_lines_are_taken_as_they_stand(page: Path) -> None:
    problems = []
    for line in list_lines(page):
        words = shlex.split(re.split(r"\s\d?>", line)[0], comments=True)[1:]
        try:
            parse(words)
        except typer.Exit:  # --help
            pass
        except Exception as error:
            problems.append(f"{line}: {type(error).__name__} {error}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_in_sentences_exist_with_their_options(page: Path) -> None:
    problems = []
    for text in INLINE.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        command: Any = get_command(app)
        known = {"--json", "--config", "-c", "--debug"}
        for word in text.split():
            children = getattr(command, "commands", {})
            if word in children:
                command = children[word]
            elif word.startswith("-") and word.strip("-…"):
                known |= {name for option in command.params for name in option.opts}
                for child in children.values():  # `curate ingest FILE`, `curate forget …`
                    known |= {name for option in child.params for name in option.opts}
                if word.partition("=")[0].rstrip(",.…") not in known:
                    problems.append(f"curate {text}: no option {word}")
            elif command.__class__.__name__ == "TyperGroup" and word.islower() and word.isalpha():
                problems.append(f"curate {text}: no command {word}")
    assert not problems, "\n".join(problems)


def test_the_tutorial_runs_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    """Its promises too: the second run has nothing to do, and a person's verdict changes what `diff` shows."""
    folder, outputs = tmp_path, []
    for _, block in FENCE.findall((ROOT / "docs/tutorial.md").read_text(encoding="utf-8")):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[0] == "cd":
                folder = folder / words[1]
                continue
            if words[1:3] == ["verify", "import-csv"]:
                fill_in(folder / "questions.csv")
            if words[1] == "diff":  # by the number that `curate status` has printed, as the page says
                (words[2],) = [
                    re.findall(r"^snapshot (\d+)", out, re.M)[0]
                    for at, out in outputs
                    if at == "curate status"
                ]
            code = [sys.executable, "-c", "from curate.cli.app import main; main()", *words[1:]]
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            done = subprocess.run(code, cwd=folder, capture_output=True, text=True, env=environment)
            assert done.returncode == 0, f"{line}: {done.stderr}"
            outputs.append((line, done.stdout))
    runs = [output for line, output in outputs if line == "curate run"]
    assert "nothing to do" in runs[1]
    assert "iteration-0: 12 pairs" in runs[0]
    (diff,) = [output for line, output in outputs if line.startswith("curate diff")]
    assert "people" in diff
    assert (folder / "certificate.json").exists()


def fill_in(sheet: Path) -> None:
    with sheet.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        row["verdict"] = "first"
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
