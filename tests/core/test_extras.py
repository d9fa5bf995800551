"""The base installs no model library: its path runs without them, and every door to an extra names what to install."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from curate.config.project import load_config
from curate.core.extras import MissingExtraError, require_extra
from curate.engine import Engines
from curate.engine.base import Generate, build_chat
from curate.engine.local.embeddings import CachedEmbedder
from curate.lake.lake import Lake

ROOT = Path(__file__).parents[2]


# What `pip install curate` does not bring: the path below must run without it.
NOT_IN_THE_BASE = [
    "PIL", "accelerate", "altair", "datasets", "fastapi", "gguf", "httpx", "huggingface_hub", "label_studio_sdk",
    "llguidance", "pandas", "peft", "prefect", "pytz", "safetensors", "sentence_transformers", "sklearn", "tokenizers",
    "torch", "transformers", "uvicorn", "vl_convert",
]  # fmt: skip

# Runs commands, one after the other, in a process that finds none of them; says how each ended and what it printed.
WITHOUT = f"""
import contextlib, io, json, sys
from importlib.machinery import PathFinder

search = PathFinder.find_spec

def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in {NOT_IN_THE_BASE} else search(name, path, target)

PathFinder.find_spec = find_spec
from curate.cli.app import main

ended = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["curate", *arguments]
    printed, code = io.StringIO(), 0
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    ended.append((code, " ".join(printed.getvalue().split())))
print(json.dumps(ended))
"""


def run_commands(*commands: list[str], folder: Path) -> list[tuple[int, str]]:
    """Exit code and output of each `curate …` where only the base is installed."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, json.dumps(commands)],
        cwd=folder, env=os.environ | {"LABEL_STUDIO_API_KEY": "t" * 40, "COLUMNS": "200"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [(code, told) for code, told in json.loads(done.stdout)]


VOTES = "".join(
    f'{{"prompt": "q{n}", "a": "q{n}-x", "b": "q{n}-y", "annotator": "{who}", "kind": "human", "winner": "{winner}"}}\n'
    for n in range(6)
    for who, winner in (("ada", "a"), ("ben", "a"), ("cem", "a" if n % 3 else "b"))
)
RESPONSES = "".join(
    f'{{"id": "q{n}", "prompt": "What is {n} + {n}?", "responses": '
    f'[{{"id": "q{n}-x", "model": "m", "text": "{2 * n}"}}, {{"id": "q{n}-y", "model": "n", "text": "no idea"}}]}}\n'
    for n in range(6)
)
PROJECT = """
ingest:
  - {source: responses.jsonl}
  - {source: votes.jsonl, kind: judgments}
judge:
  judges: [{name: length, kind: rule, rule: length}, {name: bleu, kind: reference, metric: bleu}]
export:
  - {path: export/trl, format: trl-preference}
  - {path: export/tables, format: parquet}
"""


def make_project(folder: Path, more: str = "") -> Path:
    texts = {"responses.jsonl": RESPONSES, "votes.jsonl": VOTES, "curate.yaml": PROJECT + more}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_votes_become_an_export_with_the_base_alone(tmp_path: Path) -> None:
    query = "SELECT count(*) AS n FROM preferences WHERE outcome <> 'tie'"
    commands = [
        ["ingest"], ["aggregate"], ["export"], ["sql", query, "-f", "csv", "-o", "n.csv"],
        ["status", "--json"], ["explain", "q1"],
        ["rank"], ["evaluate"], ["verify", "plan", "-n", "3"], ["verify", "status"],
        ["verify", "export-csv", "sheet.csv", "--annotator", "dan"], ["compact"], ["gc"],
    ]  # fmt: skip
    ended = run_commands(*commands, folder=make_project(tmp_path))
    assert [code for code, _ in ended] == [0] * len(commands), ended
    told = {command[0]: text for command, (_, text) in zip(commands, ended, strict=True)}
    assert (tmp_path / "n.csv").read_text(encoding="utf-8").split() == ["n", "6"]
    assert '"reconciles": true' in told["status"]
    assert "ada" in told["explain"]
    assert list((tmp_path / "export" / "trl").rglob("*.parquet"))
    assert list((tmp_path / "export" / "tables").rglob("*.parquet"))


def test_a_run_with_the_base_alone_ends_well_and_says_what_draws_the_report(tmp_path: Path) -> None:
    (code, told), (again, same) = run_commands(["run"], ["run"], folder=make_project(tmp_path))
    assert code == again == 0, told + same
    assert "The report needs altair and vl_convert: run `pip install 'curate[report]'`." in told
    assert (tmp_path / "export" / "trl").is_dir()
    assert same.count("nothing to do") == 6


DOORS = {
    "report": ["report"],
    "models": ["train"],
    "serve": ["serve-reward", "model"],
    "hub": ["ingest", "responses", "hf://owner/name"],
    "label-studio": ["verify", "push"],
    "models, in the loop": ["verify", "loop"],
    "models, in a run": ["run"],
    "models, of the hub": ["evaluate", "owner/name", "-b", "guard"],
}


def test_the_command_line_says_which_extra_is_missing(tmp_path: Path) -> None:
    folder = make_project(tmp_path, "\ntrain: {embedder: owner/name}\nverify: {loop: {through: offline}}\n")
    before = [["ingest"], ["aggregate"], ["verify", "plan", "-n", "3"]]
    ended = run_commands(*before, *DOORS.values(), folder=folder)
    assert [code for code, _ in ended] == [0] * len(before) + [1] * len(DOORS), ended
    for door, (_, told) in zip(DOORS, ended[len(before) :], strict=True):
        assert f"pip install 'curate[{door.partition(',')[0]}]'" in told
        assert told.count("error:") == 1
    with Lake.open(load_config(folder / "curate.yaml").location, read_only=True) as lake:
        asked = lake.value("SELECT count(*) FROM judgments WHERE kind <> 'human'")
    assert asked == 0  # a run and a loop that cannot train ask no judge first


def test_engines_say_which_extra_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "sentence_transformers", "httpx"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}', encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"")
    settings: dict[str, dict[str, Any]] = {
        "local": {"kind": "transformers", "model": str(tmp_path)},
        "remote": {"kind": "openai", "url": "http://127.0.0.1:1/v1", "model": "m", "task": "reward"},
    }
    engines = Engines(settings, tmp_path)
    with pytest.raises(
        MissingExtraError, match=r"'local' needs torch and sentence_transformers: .*curate\[models\]"
    ):
        engines.get("local").generate([Generate(messages=build_chat(("user", "?")))])
    with pytest.raises(MissingExtraError, match=r"'remote' of kind openai needs httpx: .*curate\[openai\]"):
        engines.get("remote").score([build_chat(("user", "?"))])
    with pytest.raises(MissingExtraError, match=r"curate\[models\]"):
        CachedEmbedder(str(tmp_path)).embed(["a text"])


def test_what_is_installed_is_not_missing() -> None:
    require_extra("report", "json", "pathlib", purpose="A test")


def test_every_extra_that_is_named_exists_and_the_base_holds_none_of_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = set(project["optional-dependencies"])
    code = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "curate").rglob("*.py"))
    named = set(re.findall(r'require_extra\(\s*"([\w-]+)"', code)) | set(
        re.findall(r"'curate\[([\w-]+)\]'", code)
    )
    assert len(named) >= 10
    assert named <= extras
    base = {re.split(r"[<>=\[]", wanted)[0].replace("-", "_") for wanted in project["dependencies"]}
    assert not base & {*NOT_IN_THE_BASE, "scikit_learn", "vl_convert_python"}
    (everything,) = project["optional-dependencies"]["all"]
    not_together = {"vllm", "vision", "ray", "demo", "docs", "bench", "dev"}
    assert set(everything.removeprefix("curate[").rstrip("]").split(",")) == extras - not_together - {"all"}
