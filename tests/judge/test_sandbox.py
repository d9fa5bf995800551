"""Code that forges its verdict, code that harms, and code that is right or wrong in honest ways."""

from __future__ import annotations

import ctypes
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from curate.judge import sandbox

TESTS = "assert double(2) == 4\nassert double(5) == 10"
RIGHT = "def double(x): return 2 * x\n"

needs_isolation = pytest.mark.skipif(
    not sandbox.can_isolate(), reason="this system does not let a process be cut off (no user namespaces)"
)
pytestmark = needs_isolation

CASES = yaml.safe_load(Path(__file__).with_name("code_cases.yaml").read_text())
FORGERIES, HONEST, HARM = (CASES[name] for name in ("forgeries", "honest", "harm"))


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_verdicts_do_not_pass(name: str) -> None:
    ran = sandbox.run_code(FORGERIES[name], TESTS, seconds=2)
    assert not ran.passed, ran


# Tests that ask an object, and code whose object answers to please them.
@pytest.mark.parametrize(
    "tests",
    [
        "assert abs(double(2) - 4) < 1e-9",
        "assert not (double(2) - 4)",
        "assert round(double(2) - 4) == 0",
        "assert double(2) - 4 == 0",
        "assert 4 - double(2) == 0",
        "assert double(2) <= 4 <= double(2)",
        "assert double(2) in (4,)",
        "assert 4 in double(2)",
        "assert [double(2)] == [4]",
        "assert {'a': double(2)} == {'a': 4}",
        "import math\nassert math.isclose(double(2), 4)",
        "import unittest\nunittest.TestCase().assertEqual(double(2), 4)",
        "import unittest\nunittest.TestCase().assertAlmostEqual(double(2), 4)",
        "assert isinstance(double(2), int)",
        "try:\n    assert double(2) == 4\nexcept TypeError:\n    pass",
    ],
)
def test_an_object_of_the_code_does_not_decide_a_comparison_with_a_value(tests: str) -> None:
    code = """
        import math
        math.isclose = lambda *a, **k: True
        class Yes:
            def _yes(self, *others): return True
            def _self(self, *others): return self
            __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _yes
            __sub__ = __rsub__ = __add__ = __radd__ = __abs__ = _self
            __bool__ = lambda self: False
            __abs__ = __round__ = __float__ = __int__ = lambda self, *a: 0
            __hash__ = lambda self: 0
        def double(x): return Yes()"""
    assert not sandbox.run_code(dedent(code), tests).passed


@pytest.mark.parametrize(
    ("code", "tests"),
    [
        ("def double(x): raise StopIteration", "assert all(map(lambda x: double(x) == 2 * x, [1, 2]))"),
        ("def double(x): raise StopIteration", "for y in map(double, [1, 2]):\n    assert y == 2"),
        ("def abs(x): return 0\ndef double(x): return 3", "assert abs(double(2) - 4) < 1"),
        (
            "def all(x): return True\ndef double(x): return 3",
            "assert all(double(x) == 2 * x for x in [1, 2])",
        ),
        (
            "def each(f):\n    try:\n        f(3)\n    except AssertionError:\n        pass",
            "def f(x): assert x == 4\neach(f)",
        ),
        (
            "class unittest:\n    TestCase = lambda: unittest\n    assertEqual = print\ndef f(x): return x",
            "unittest.TestCase().assertEqual(f(2), 4)",
        ),
        ("f = print", "import sys\nsys.exit(0)"),
        ("def f(x): return x", "try:\n    raise SystemExit\nfinally:\n    import os\n    os._exit(0)"),
    ],
)
def test_what_is_ambiguous_does_not_pass(code: str, tests: str) -> None:
    assert not sandbox.run_code(code, tests).passed


@pytest.mark.parametrize("name", HONEST)
def test_right_code_passes(name: str) -> None:
    code, tests = HONEST[name]["code"], HONEST[name]["tests"]
    assert sandbox.run_code(code, tests) == sandbox.CodeResult(True, "passed")


@pytest.mark.parametrize("name", HONEST)
def test_tests_that_end_with_a_wrong_claim_fail(name: str) -> None:
    code, tests = HONEST[name]["code"], HONEST[name]["tests"]
    assert sandbox.run_code(code, tests + "\nassert 1 == 2").reason == "AssertionError"


# Harm ---------------------------------------------------------------------------------------------------


def test_nothing_of_the_outer_process_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-PLANTED")
    for stream in ("stdout", "stderr"):
        code = f"import os\ntry: os.remove('{stream}')\nexcept OSError: pass\n"
        code += f"os.symlink('/proc/self/environ', '{stream}'); os._exit(1)"
        for cut_off in (True, False):
            ran = sandbox._run_processes(code, TESTS, seconds=5, memory_mib=512, cut_off=cut_off)
            assert ran == sandbox.CodeResult(False, "ended early with exit status 1")
    assert "sk-PLANTED" not in sandbox.run_code("import os\nraise ValueError(dict(os.environ))", TESTS).reason


def test_the_machine_is_out_of_sight(tmp_path: Path) -> None:
    address = str(tmp_path / "agent")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        server.settimeout(0.01)
        code = f"import socket\ndef f(): socket.socket(socket.AF_UNIX).connect({address!r})"
        assert sandbox.run_code(code, "f()").reason.startswith("FileNotFoundError")
        with pytest.raises(TimeoutError):
            server.accept()
    look = """
        import os
        def look(path): return sorted(os.listdir(path))
        def exists(path): return os.path.exists(path)
        def parents(): return [pid for pid in look('/proc') if pid.isdigit()]"""
    tests = f"""
        import os
        assert look('/') == sorted({{*look('/')}}) and 'run' not in look('/') and 'sys' not in look('/')
        assert look('/tmp') == [] == look('/dev/shm')
        assert 'pts' not in look('/dev') and 'tty' not in look('/dev') and 'shadow' not in look('/etc')
        assert len(parents()) == 2
        assert not exists({__file__!r}) and not exists({str(tmp_path)!r})"""
    assert sandbox.run_code(dedent(look), dedent(tests)).reason == "passed"


def test_files_of_the_machine_cannot_be_written(tmp_path: Path) -> None:
    code = """
        import sys
        def write(path):
            try: open(path, 'w').write('x')
            except OSError as error: return type(error).__name__
        def python(): return sys.base_prefix"""
    tests = f"""
        assert write('/new') == 'OSError' == write(python() + '/new')
        assert write({str(tmp_path / "new")!r}) == 'FileNotFoundError'
        assert write('/tmp/curate-escaped') is None"""
    assert sandbox.run_code(dedent(code), dedent(tests)).reason == "passed"
    assert not Path("/tmp/curate-escaped").exists()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of this test's own: others run sandboxes at the same time."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.mark.parametrize("name", HARM)
def test_harm_is_a_verdict_and_does_none(name: str, temporary: Path) -> None:
    ran = sandbox.run_code(HARM[name], TESTS, seconds=1, memory_mib=512)
    assert not ran.passed
    assert len(ran.reason) < 600
    assert list(temporary.glob("curate-code-*")) == []
    assert sandbox.run_code(RIGHT, TESTS).passed


def test_the_reason_says_which_limit_it_was() -> None:
    reasons = {
        "forks": "started more than 64 processes",
        "memory in processes": "took more than 512 MiB of memory in all its processes",
        "files": "OSError: [Errno 28] No space left on device",
        "a value too large": "a value of the code is too large to be sent",
    }
    found = {name: sandbox.run_code(HARM[name], TESTS, seconds=10).reason for name in reasons}
    assert found == reasons


@pytest.mark.parametrize(
    "name", ["no standard output", "folders within folders", "standard output is a folder", "links"]
)
def test_without_isolation_the_folder_is_removed_all_the_same(name: str, temporary: Path) -> None:
    assert not sandbox._run_processes(HARM[name], TESTS, seconds=5, memory_mib=512, cut_off=False).passed
    assert list(temporary.glob("curate-code-*")) == []


def test_removing_a_folder_follows_no_link_and_never_raises(tmp_path: Path) -> None:
    kept, folder = tmp_path / "kept", tmp_path / "folder"
    kept.mkdir()
    (kept / "thesis.txt").write_text("x")
    folder.mkdir()
    (folder / "link").symlink_to(kept)
    (folder / "d").mkdir()
    (folder / "d" / "link").symlink_to(kept)
    os.mkfifo(folder / "d" / "pipe")
    sandbox.remove_folder(folder)
    sandbox.remove_folder(folder)
    assert not folder.exists()
    assert (kept / "thesis.txt").read_text() == "x"


# What the tests ask ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tests",
    [
        "",
        "# nothing",
        "def test_double():\n    assert double(2) == 4",
        "def check(candidate):\n    assert candidate(2) == 4\nif __name__ == '__main__':\n    check(double)",
        "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): self.assertEqual(double(2), 4)",
        "check = lambda: double(2) == 4",
    ],
)
def test_tests_that_ask_nothing_of_the_code_say_so(tests: str) -> None:
    assert sandbox.run_code("def double(x): return 3 * x", tests) == sandbox.CodeResult(True, "passed", False)


@pytest.mark.parametrize("tests", ["assert ANSWER == 42", "import solution\nassert solution.ANSWER == 42"])
def test_a_value_that_is_read_is_asked_for(tests: str) -> None:
    assert sandbox.run_code("ANSWER = 42", tests) == sandbox.CodeResult(True, "passed", True)


MANAGER = """
class C:
    def __enter__(self): return self
    def __exit__(self, *rest): return True
def double(x): return C()
"""
UNCOUNTED = """
class S:
    def __xor__(self, other): return self
    def __len__(self): return 0
def double(x): return S()
"""


@pytest.mark.parametrize(
    ("code", "tests"),
    [
        (MANAGER, "with double(2):\n    assert 1 == 2"),
        (UNCOUNTED, "assert len(double(2) ^ {4}) == 0"),
    ],
)
def test_the_code_swallows_no_assertion_and_counts_no_difference(code: str, tests: str) -> None:
    assert not sandbox.run_code(code, tests).passed


def test_a_manager_of_the_code_may_swallow_other_errors() -> None:
    code = "import contextlib\ndef quiet(): return contextlib.suppress(ValueError)"
    assert sandbox.run_code(code, "with quiet():\n    raise ValueError").passed


def test_keys_of_the_kernel_stay_outside() -> None:
    """No namespace hides the session keyring, in which logins keep tickets and tokens."""
    libc = ctypes.CDLL(None, use_errno=True)
    add, request, control = {"x86_64": (248, 249, 250)}.get(os.uname().machine, (217, 218, 219))
    if libc.syscall(add, b"user", b"curate-test", b"sk-PLANTED", 10, -3) < 0:
        pytest.skip("this system keeps no keys")
    code = f"""
        import ctypes
        libc, held = ctypes.CDLL(None), ctypes.create_string_buffer(99)
        libc.syscall({control}, 11, libc.syscall({request}, b"user", b"curate-test", None, -3), held, 99)
        def double(x): raise ValueError(held.raw)"""
    assert "PLANTED" not in sandbox.run_code(dedent(code), TESTS).reason
