"""Run the tests on code that another process runs, and say whether their last line was reached.

The verdict goes to standard output as JSON, `{"passed": false, "reason": "AssertionError", "asked": true}`, after a
line that says that both processes are there. An empty reason: the process of the code has ended. `asked` is false where
the tests have reached their last line without asking anything of the code, as those that only define functions do.
Nothing of the tests, their values or this process is within reach of the code: it is asked to call functions, and is
given the arguments.
"""

from __future__ import annotations

import ast
import builtins
import json
import os
import sys
import traceback
import types
from typing import Any

from .exchange import Exchange, Lost
from .operations import BINARY, COMPARISONS, IN_PLACE, NUMBERS
from .remote import Remote, make_proxy

_NAME = "tests"
_SERVED = frozenset({
    "call", "iter", "next", "send", "run", "len", "getitem", "setitem", "delitem", "contains", "hash", "str", "repr",
    "isinstance", "issubclass", "plain", "reversed", "neg", "pos", "invert", *BINARY, *IN_PLACE, *COMPARISONS, *NUMBERS,
})  # fmt: skip
"""Operations that the code may do with objects of the tests."""


class _Solution(types.ModuleType):
    """`import solution` in tests: names of the code as they are now."""

    def __init__(self, module: Any, names: list[str]) -> None:
        super().__init__("solution")
        self.__dict__.update(__all__=[name for name in names if not name.startswith("_")], __remote=module)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.__dict__["__remote"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["__remote"], name, value)


def main() -> None:
    """Run the tests, whose calls go to the process that holds the candidate."""
    del sys.path[0]
    reads, writes, plain = map(int, sys.argv[1:])
    sys.argv = ["tests.py"]
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    verdicts = os.dup(1)
    os.dup2(2, 1)
    exchange = Exchange("tests", reads=reads, writes=writes, proxy=make_proxy)
    exchange.guard = lambda name, arguments: _guard_request(exchange, name, arguments)
    exchange.print = _print_text
    reason = _execute_tests(exchange, text, verdicts, plain=bool(plain))
    verdict = {"passed": reason is None, "reason": reason, "asked": exchange.n_requests > 0}
    os.write(verdicts, json.dumps(verdict).encode())
    os._exit(0)


def _execute_tests(exchange: Exchange, text: str, verdicts: int, *, plain: bool) -> str | None:
    """Run the tests; return None if they have passed, else the reason.

    With `plain`, tests get plain values of the code's functions, and ask no object of the code for anything.
    """
    try:
        exchange.receive_message()
        os.write(verdicts, b"ready\n")
        exchange.send_message({"value": (_ask_line, _read_text, _read_line)})
        while "do" in (message := exchange.receive_message()):
            exchange.answer_request(message)
        error, module, names = message["value"]
        if error is not None:
            return str(error)[:500]
        names = [name for name in names if isinstance(name, str) and name.isidentifier()]
        sys.modules["solution"] = _Solution(module, names)
        if plain:
            exchange.allow = lambda name, arguments: _refuse_objects(exchange, module, name, arguments)
        space, exchange.n_requests = _build_namespace(text, module, names)
        exec(compile(text, "tests.py", "exec"), space)
    except Lost:
        pass
    except BaseException as caught:
        if exchange.broken is None:
            return traceback.format_exception_only(caught)[-1].strip()[:500]
    return None if exchange.broken is None else exchange.broken[:500]


def _build_namespace(text: str, module: Any, names: list[str]) -> tuple[dict[str, Any], int]:
    """Return the names of the code that the tests use without defining them.

    And how many plain values of the code stand in the statements of the tests: to read these asks nothing more.
    """
    tree = ast.parse(text)
    uses = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    bases = {
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    space: dict[str, Any] = {"__name__": _NAME}
    for name in sorted(uses.intersection(names) - _find_defined_names(tree)):
        if hasattr(builtins, name):
            raise NameError(
                f"the code has a {name} and so has Python: tests that mean the code's say solution.{name}"
            )
        space[name] = getattr(module, name)
        if name in bases.intersection(sys.stdlib_module_names) and not isinstance(
            space[name], types.ModuleType
        ):
            raise NameError(
                f"the tests use the module {name} that only the code imports: they have to import it"
            )
    read_at_once = _find_names_of_statements(tree)
    plain = [name for name, value in space.items() if name != "__name__" and not isinstance(value, Remote)]
    return space, len(read_at_once.intersection(plain))


def _find_names_of_statements(tree: ast.AST) -> set[str]:
    """Find the names that are read outside of functions, whose bodies may never run."""
    names: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            names |= _find_names_of_statements(node)
    return names


def _find_defined_names(tree: ast.Module) -> set[str]:
    """Find the names that statements of the tests define, at any depth."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names.update((alias.asname or alias.name).partition(".")[0] for alias in aliases)
    return names


def _guard_request(exchange: Exchange, name: str, arguments: list[Any]) -> None:
    """Refuse operations by which code would reach behind the objects that it was given."""
    target = arguments[0]
    if not exchange.codec.is_own(target):
        raise PermissionError("not an object that the tests have given away")
    if name in ("getattr", "setattr", "delattr"):
        public = type(arguments[1]) is str and not arguments[1].startswith("_")
        named = name == "getattr" and arguments[1] in ("__name__", "__qualname__", "__doc__", "__module__")
        if not named and (not public or type(target).__module__ != _NAME or isinstance(target, type)):
            raise AttributeError(f"not an attribute of an object of the tests' own classes: {arguments[1]}")
    elif name not in _SERVED:
        raise PermissionError(f"{name} of an object of the tests")


def _refuse_objects(exchange: Exchange, module: Any, name: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what an object of the code would decide: all but to call functions, and to go through their values."""
    if name in ("call", "iter", "next", "send", "run") or (name == "getattr" and arguments[0] is module):
        return
    asked = repr(arguments[1]) if name == "getattr" else name
    exchange.broken = exchange.broken or (
        f"the tests ask an object of the code for {asked}, and `plain: true` takes plain values only"
    )
    raise TypeError(exchange.broken)


def _print_text(text: str) -> None:
    if text:
        sys.stdout.write(text)


def _ask_line(prompt: object = "") -> str:
    return builtins.input(prompt)  # the one that the tests may have put there


def _read_text(size: int | None = -1) -> str:
    return sys.stdin.read(-1 if size is None else size)


def _read_line(size: int | None = -1) -> str:
    return sys.stdin.readline(-1 if size is None else size)
