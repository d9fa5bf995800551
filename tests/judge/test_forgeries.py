"""The library of forgeries: code that is wrong and tries to pass. None does; right code passes, wrong code fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from curate.core.errors import CurateError
from curate.engine import Engines, build_chat
from curate.judge import CandidateResponse, PromptItem, sandbox
from curate.judge.verifier import Verifier, VerifierOptions

TESTS = "assert double(2) == 4\nassert double(5) == 10"
HERE = Path(__file__).parent
FORGERIES: dict[str, dict[str, str]] = {
    name: {"code": code}
    for name, code in yaml.safe_load((HERE / "code_cases.yaml").read_text())["forgeries"].items()
} | yaml.safe_load((HERE / "forgeries.yaml").read_text())
RIGHT = "def double(x):\n    return 2 * x\n"
WRONG = "def double(x):\n    return 3 * x\n"

needs_isolation = pytest.mark.skipif(
    not sandbox.can_isolate(), reason="this system does not let a process be cut off (no user namespaces)"
)


def make_verifier(**options: Any) -> Verifier:
    return Verifier(
        VerifierOptions(name="runs", kind="verifier", check="code", meta="tests", seconds=2, **options),
        Engines({}, Path()),
    )


def score(codes: dict[str, dict[str, str]], verifier: Verifier) -> dict[str, tuple[float | None, str]]:
    """Return score and reason of each code, as the judge gives them."""
    questions = []
    for name, case in codes.items():
        text = f"Here it is:\n```python\n{case['code']}```\n"
        meta = json.dumps({"tests": case.get("tests", TESTS)})
        item = PromptItem(
            name, build_chat(("user", "Double.")), None, (CandidateResponse("a", text),), meta=meta
        )
        questions += list(verifier.questions(item))
    answers = verifier.answer(questions)
    return {name: (answer.score, answer.raw or "") for name, answer in zip(codes, answers, strict=True)}


def test_the_library_is_large() -> None:
    assert len(FORGERIES) >= 50


@needs_isolation
@pytest.mark.timeout(300)
def test_no_forgery_passes_and_honest_code_is_judged_beside_it() -> None:
    honest = {"right": {"code": RIGHT}, "wrong": {"code": WRONG}}
    scores = score(FORGERIES | honest, make_verifier())
    assert scores.pop("right") == (1.0, "passed")
    assert scores.pop("wrong") == (0.0, "AssertionError")
    assert {name: result for name, result in scores.items() if result[0] != 0.0} == {}


@needs_isolation
@pytest.mark.parametrize("name", [name for name, case in FORGERIES.items() if "tests" in case])
def test_the_tests_of_a_forgery_can_be_passed(name: str) -> None:
    """Else its failing would show nothing: what each forgery pretends to be passes its tests."""
    honest = {
        "a text that equals everything": "def double(x): return x * 2",
        "a list whose items lie": "def double(x): return [1, 2]",
        "a mapping that has everything": "def double(x): return {'a': 4}",
        "an array that lies": "import numpy as np\ndef double(x): return np.array([1, 2])",
        "objects in an array": "import numpy as np\ndef double(x): return np.array([1, 2])",
        "what lies behind a callback": "def double(f): return f(3)",
        "an argument that is replaced": "def double(xs): return [2 * x for x in xs]",
    }
    result = sandbox.run_code(honest.get(name, RIGHT), FORGERIES[name]["tests"])
    assert result == sandbox.CodeResult(True, "passed")


# A machine without user namespaces ---------------------------------------------------------------------------

REFUSAL = "does not let a process be cut off from network and files"
PROJECT = """
ingest: [{source: rows.jsonl, kind: responses}]
judge:
  judges: [{name: runs, kind: verifier, check: code, meta: tests%s}]
"""


def can_take_namespaces_away() -> bool:
    probe = "echo 0 > /proc/sys/user/max_user_namespaces && ! unshare -U true"
    command = ["unshare", "-Ur", "sh", "-c", probe]
    return bool(shutil.which("unshare")) and subprocess.run(command, capture_output=True).returncode == 0


def run_without_namespaces(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command where the kernel allows no more user namespaces."""
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    start = [sys.executable, "-c", "from curate.cli.app import main; main()"]
    command = ["unshare", "-Ur", "sh", "-c", script, "sh", *start, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.mark.skipif(
    not can_take_namespaces_away(), reason="user namespaces cannot be taken away here (unshare)"
)
def test_without_user_namespaces_code_is_refused_or_run_with_limits_where_that_is_said(
    tmp_path: Path,
) -> None:
    row = {
        "id": "1",
        "prompt": "Double.",
        "responses": [{"id": name, "text": code} for name, code in (("right", RIGHT), ("wrong", WRONG))],
        "meta": {"tests": TESTS},
    }
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "curate.yaml").write_text(PROJECT % "")
    assert run_without_namespaces(tmp_path, "ingest").returncode == 0
    refused = run_without_namespaces(tmp_path, "judge")
    assert refused.returncode == 1
    assert REFUSAL in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr
    (tmp_path / "curate.yaml").write_text(PROJECT % ", unsafe: true")
    judged = run_without_namespaces(tmp_path, "judge")
    assert judged.returncode == 0, judged.stderr
    rows = run_without_namespaces(tmp_path, "sql", "SELECT score FROM judgments ORDER BY score", "-f", "csv")
    assert rows.stdout.split() == ["score", "0.0", "1.0"], rows.stderr


def test_a_judge_of_code_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "can_isolate", lambda: False)
    with pytest.raises(CurateError, match=f"{REFUSAL}.*set `unsafe: true`"):
        make_verifier()
