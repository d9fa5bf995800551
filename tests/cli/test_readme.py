"""Every command that README.md names: what it tells a reader to type works, in its order, in a project of its own."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.cli.app import main

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"

# These are not run here: only that the command and its options exist is checked. Whatever is not in this list is run.
PARSED_ONLY = {
    "curate run": "starts a Prefect API, for half a minute: tests/e2e/test_run.py runs it",
    "curate train": "needs an embedding model: tests/train/test_train_stage.py runs it",
    "curate verify push": "needs a Label Studio server: tests/e2e/test_label_studio_round_trip.py runs it",
    "curate verify pull": "needs a Label Studio server: tests/e2e/test_label_studio_round_trip.py runs it",
    "curate verify loop": "waits for people: tests/e2e/test_verify_loop.py runs it",
    "curate evaluate models/reward -b reward-bench-2 --robustness": "needs a trained model and a data set of the hub:"
    " tests/evaluate/test_evaluate_model.py runs it on a file",
    "curate push --dry-run": "needs a repository on the hub: tests/hub/test_command_line.py pushes to a stand-in",
    "curate score rows.jsonl --model models/reward": "needs a trained model: tests/cli/test_score.py runs it",
    "curate diff 22": "22 stands for a snapshot: tests/cli/test_runs_and_diff.py names its own",
    "curate verify media": "serves until it is stopped: tests/verify/test_media.py runs it",
    "curate rubric features FILE": "FILE stands for a file: tests/rubric/test_features.py names one",
    "curate up": "starts servers: tests/e2e/test_deploy.py runs it",
    "curate down": "tests/e2e/test_deploy.py runs it",
    "curate deploy": "needs a Prefect server: tests/e2e/test_deploy.py runs it",
    "curate doctor": "says what this machine lacks: tests/deploy runs it",
    "curate serve-reward models/reward": "serves until it is stopped: tests/serve/test_serve_reward.py runs it",
}


def read_commands(text: str) -> Iterator[str]:
    """Yield the shell lines of a Markdown text in their order, without prompts and comments.

    Lines of fenced blocks marked sh, then `curate …` in running text. "stage by stage: a, b" in a comment names the
    commands `curate a` and `curate b`.
    """
    blocks = re.compile(r"^```(?:sh|bash|shell|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
    for block in blocks.findall(text):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield shlex.join([words[0].removeprefix(".venv/bin/"), *words[1:]])
            stages = re.search(r"#.*stage by stage: ([\w, -]+)", line)
            if stages is not None:
                yield from (f"curate {stage}" for stage in re.findall(r"[\w-]+", stages[1]))
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (" ".join(command.split()) for command in re.findall(r"`(curate\s[^`]+)`", prose))


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["curate", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def follow(command: str, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Do what a line says where it can be done here, else check that it can be typed; return what is wrong."""
    head, *arguments = shlex.split(command)
    match head:
        case "cd":
            monkeypatch.chdir(arguments[0])
        case "curate":
            if command in PARSED_ONLY:
                arguments = [*arguments, "--help"]
            if code := call(monkeypatch, *arguments):
                return f"ends with exit code {code}"
        case "make":
            targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
            if not targets.issuperset(arguments):
                return "the Makefile has no such target"
        case "python":
            if not (ROOT / arguments[0]).is_file():
                return f"there is no {arguments[0]}"
        case _:
            return "is neither curate, make, cd nor one of our scripts: say in this test how to check it"
    return None


def test_every_command_of_the_readme_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = list(dict.fromkeys(read_commands(README.read_text(encoding="utf-8"))))
    assert len(commands) > 20
    wrong = {}
    for command in commands:
        reason = follow(command, monkeypatch)
        printed = capfd.readouterr()
        if reason is not None:
            wrong[command] = f"{reason}: {printed.err}".strip()
    assert wrong == {}


def test_what_is_not_run_is_still_in_the_readme() -> None:
    assert PARSED_ONLY.keys() - set(read_commands(README.read_text(encoding="utf-8"))) == set()


SAMPLE = """
Run `curate status` or `curate
snapshot list`; `curate` alone prints help, and `pip install 'curate[s3]'` more.

```sh
.venv/bin/curate init my-project    # with a comment
curate run                          # or stage by stage: ingest, judge
curate sql "SELECT '# no comment'"
```

```python
curate = "`curate no-command`"
```
"""


def test_commands_are_read_from_blocks_comments_and_text() -> None:
    assert list(read_commands(SAMPLE)) == [
        "curate init my-project",
        "curate run",
        "curate ingest",
        "curate judge",
        "curate sql 'SELECT '\"'\"'# no comment'\"'\"''",
        "curate status",
        "curate snapshot list",
    ]


@pytest.mark.parametrize(
    "command",
    [
        "curate no-such-command",
        "curate verify push --no-such-option",
        "curate status --config nowhere.yaml",
        "make no-such-target",
        "python bench/no_such_script.py",
        "npm install",
    ],
)
def test_a_command_that_does_not_work_is_noticed(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert follow(command, monkeypatch) is not None
    if command.startswith("curate verify"):
        monkeypatch.setitem(PARSED_ONLY, command, "parsed only")
        assert follow(command, monkeypatch) is not None
