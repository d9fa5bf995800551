"""The base installs no model library: its path runs without them, and every door to an extra names what to install."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from curate.core.extras import MissingExtraError, require_extra
from curate.engine import Engines
from curate.engine.base import build_chat
from curate.engine.local.embeddings import CachedEmbedder

ROOT = Path(__file__).parents[2]


# What `pip install curate` does not bring: the path below must run without it.
NOT_IN_THE_BASE = [
    "PIL", "accelerate", "altair", "datasets", "fastapi", "gguf", "httpx", "huggingface_hub", "label_studio_sdk",
    "llguidance", "pandas", "peft", "prefect", "pytz", "safetensors", "sentence_transformers", "sklearn", "tokenizers",
    "torch", "transformers", "uvicorn", "vl_convert",
]  # fmt: skip

WITHOUT = f"""
import sys
from importlib.machinery import PathFinder

search = PathFinder.find_spec

def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in {NOT_IN_THE_BASE} else search(name, path, target)

PathFinder.find_spec = find_spec
from curate.cli.app import main
sys.argv = ["curate", *sys.argv[1:]]
main()
"""


def curate(*arguments: str, folder: Path, expect: int = 0) -> str:
    """What `curate …` prints where only the base is installed."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return " ".join((done.stdout + done.stderr).split())


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


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    return make_project(tmp_path)


def test_votes_become_an_export_with_the_base_alone(votes: Path) -> None:
    curate("ingest", folder=votes)
    curate("aggregate", folder=votes)
    curate("export", folder=votes)
    told = curate(
        "sql", "SELECT count(*) AS n FROM preferences WHERE outcome <> 'tie'", "-f", "csv", folder=votes
    )
    assert told == "n 6"
    assert '"reconciles": true' in curate("status", "--json", folder=votes)
    assert "ada" in curate("explain", "q1", folder=votes)
    assert list((votes / "export" / "trl").rglob("*.parquet"))
    assert list((votes / "export" / "tables").rglob("*.parquet"))
    for command in (
        ["rank"],
        ["evaluate"],
        ["verify", "plan", "-n", "3"],
        ["verify", "status"],
        ["compact"],
        ["gc"],
    ):
        curate(*command, folder=votes)
    curate("verify", "export-csv", "sheet.csv", "--annotator", "dan", folder=votes)


def test_a_run_with_the_base_alone_ends_well_and_says_what_draws_the_report(votes: Path) -> None:
    told = curate("run", folder=votes)
    assert "The report needs altair and vl_convert: run `pip install 'curate[report]'`." in told
    assert (votes / "export" / "trl").is_dir()
    assert curate("run", folder=votes).count("nothing to do") == 6


DOORS = {
    "report": (["report"], "report"),
    "train": (["train"], "models"),
    "serve": (["serve-reward", "model"], "serve"),
    "hub": (["ingest", "responses", "hf://owner/name"], "hub"),
    "push": (["verify", "push"], "label-studio"),
    "loop": (["verify", "loop"], "models"),
    "run": (["run"], "models"),
    "evaluate": (["evaluate", "owner/name", "-b", "guard"], "models"),
}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with labels, a few questions for people, and a model to train."""
    more = "\ntrain: {embedder: owner/name}\nverify: {loop: {through: offline}}\n"
    folder = make_project(tmp_path_factory.mktemp("labelled"), more)
    for command in (["ingest"], ["aggregate"], ["verify", "plan", "-n", "3"]):
        curate(*command, folder=folder)
    return folder


@pytest.mark.parametrize("door", DOORS)
def test_the_command_line_says_which_extra_is_missing(
    labelled: Path, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "t" * 40)
    arguments, extra = DOORS[door]
    told = curate(*arguments, folder=labelled, expect=1)
    assert f"pip install 'curate[{extra}]'" in told
    assert told.count("error:") == 1


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
        engines.get("local").generate([build_chat(("user", "?"))])
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
    not_together = {"vllm", "vision", "ray", "dask", "demo", "bench", "dev"}
    assert set(everything.removeprefix("curate[").rstrip("]").split(",")) == extras - not_together - {"all"}
