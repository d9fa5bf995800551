"""Verifiers: what passes, what fails and why; and code that misbehaves in every way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate.engine import Engines, build_chat
from curate.judge import Answer, CandidateResponse, PromptItem, sandbox
from curate.judge.checks import parse_number
from curate.judge.verifier import Verifier, VerifierOptions

needs_isolation = pytest.mark.skipif(
    not sandbox.can_isolate(), reason="this system does not let a process be cut off (no user namespaces)"
)


def verify(text: str, *, reference: str | None = None, meta: Any = None, **options: Any) -> Answer:
    verifier = Verifier(VerifierOptions(name="v", kind="verifier", **_key(options)), Engines({}, Path()))
    told = None if meta is None else json.dumps(meta)
    item = PromptItem("p", build_chat(("user", "?")), reference, (CandidateResponse("a", text),), meta=told)
    (answer,) = verifier.answer(list(verifier.questions(item)))
    return answer


def _key(options: dict[str, Any]) -> dict[str, Any]:
    return {name.removesuffix("_"): value for name, value in options.items()}


@pytest.mark.parametrize(
    ("check", "expect", "text", "objection"),
    [
        ("exact", "Paris", " paris. ", None),
        ("exact", "Paris", "Paris, France", "is not 'Paris'"),
        ("number", 1234.5, "First 3, so the answer is 1,234.50.", None),
        ("number", "#### 42", "6 x 7\n#### 42", None),
        ("number", "0.75", "It is \\boxed{3/4}, not 5.", None),
        ("number", 42, "It is 41.", "41 is not 42"),
        ("number", 42, "I do not know.", "holds no number"),
        ("contains", ["Red", "blue"], "RED and Blue", None),
        ("contains", ["red", "green"], "red", "does not contain 'green'"),
        ("regex", r"^\d{4}-\d\d$", "2024-05", None),
        ("regex", r"^\d{4}-\d\d$", "May", r"does not match '^\\d{4}-\\d\\d$'"),
        ("words", [2, 3], "one two three", None),
        ("words", [None, 2], "one two three", "3 words are more than 2"),
        ("sentences", [2, 2], 'He said "no." Then he left', None),
        ("sentences", [2, None], "Only one.", "1 sentences are fewer than 2"),
        ("json-schema", {"required": ["x"]}, '```json\n{"x": 1}\n```', None),
        (
            "json-schema",
            {"properties": {"x": {"type": "string"}}},
            '{"x": 1}',
            "breaks the schema at $.x: 1 is not",
        ),
        ("json-schema", {}, "{x: 1}", "is not JSON"),
    ],
)
def test_checks(check: str, expect: Any, text: str, objection: str | None) -> None:
    answer = verify(text, check=check, expect=expect)
    assert answer.outcome == "a"
    assert answer.score == (1.0 if objection is None else 0.0)
    assert (answer.raw or "").startswith(objection or "passed")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-2e3", -2000),
        ("1,234", 1234),
        ("1,2", 2),
        ("3 / 4", 0.75),
        ("1/0", None),
        ("v2 costs $3.50.", 3.5),
        ("", None),
    ],
)
def test_numbers(text: str, value: float | None) -> None:
    assert parse_number(text) == value


def test_what_is_expected_comes_from_meta_then_expect_then_the_reference() -> None:
    assert verify("5", check="number", reference="5").score == 1.0
    assert verify("6", check="number", reference="5", expect=6).score == 1.0
    assert verify("7", check="number", reference="5", expect=6, meta_="n", meta={"n": 7}).score == 1.0
    assert verify("6", check="number", reference="5", expect=6, meta_="n", meta={}).score == 1.0
    assert verify("5", check="number", reference="5", meta_="n").outcome == "abstain"
    assert verify("5", check="number").outcome == "abstain"
    assert verify("x", check="words", meta_="n", meta={"n": "many"}).outcome == "abstain"


@needs_isolation
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def double(x): return 3 * x", "AssertionError"),
        ("def double(x: return", "SyntaxError"),
        ("import sys; sys.exit(0)", "ended early with exit status 0"),
        ("import os; os._exit(0)", "ended early with exit status 0"),
        ("while True: pass", "took more than 1 s"),
        ("import time; time.sleep(60)", "took longer than 1 s"),
        ("x = [0] * (1 << 30)", "MemoryError"),
        ("import socket; socket.create_connection(('127.0.0.1', 9), timeout=2)", "OSError"),
        ("open('/usr/curate-escaped', 'w')", "OSError: [Errno 30] Read-only file system"),
        ("open('big', 'w').write('x' * (2 << 20)); open('big').read()", "OSError: [Errno 27] File too large"),
    ],
)
def test_code_that_fails_or_misbehaves(code: str, reason: str) -> None:
    answer = verify(
        f"Here:\n```python\n{code}\n```\n", check="code", expect="assert double(2) == 4", seconds=1
    )
    assert answer.score == 0.0
    assert (answer.raw or "").startswith(reason)
    assert not Path("/usr/curate-escaped").exists()


@needs_isolation
def test_code_that_works_sees_nothing_of_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "x")
    code = "import os, sys\nassert 'SECRET_KEY' not in os.environ\nassert not any('curate' == m for m in sys.modules)"
    code += "\nopen('mine', 'w').write('x')\ndef read(): return open('mine').read()"
    assert sandbox.run_code(code, "assert read() == 'x'").passed


@needs_isolation
def test_what_code_starts_ends_with_it() -> None:
    sleeper = "import time; time.sleep(987)"
    start = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {sleeper!r}], start_new_session=True)"
    assert sandbox.run_code(start, "").passed
    assert not any(_arguments(path)[-2:-1] == [sleeper] for path in Path("/proc").glob("[0-9]*/cmdline"))


def test_verdicts_of_code_that_could_be_forged_are_asked_anew() -> None:
    def revision(check: str) -> str:
        made = Verifier(
            VerifierOptions(name="v", kind="verifier", check=check, unsafe=True), Engines({}, Path())
        )  # type: ignore[arg-type]
        return made.revision("")

    assert revision("exact") == "a6eb59034d34c6e109154b1a87814bd9"  # as before
    assert revision("code") != "766ddae397140a98c42193f14e80cfa0"  # what it was


def test_a_sandbox_that_does_not_run_is_a_failed_judgment_and_no_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any, **__: Any) -> sandbox.CodeResult:
        raise sandbox.SandboxError("a process could not be started: no memory")

    monkeypatch.setattr(sandbox, "run_code", refuse)
    answer = verify("x = 1", check="code", expect="assert x == 1", unsafe=True)
    assert (answer.outcome, answer.score) == ("failed", None)
    assert answer.raw == "the sandbox did not run: a process could not be started: no memory"


def _arguments(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").split("\0")
    except OSError:  # it has ended meanwhile
        return []
