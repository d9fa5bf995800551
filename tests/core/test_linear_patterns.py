"""Every pattern of the package takes linear time: no text of 60,000 characters keeps one busy.

Patterns are found in the source (`re.compile` and calls of `re` with a literal), and attacked with repetitions of what
they are made of: their literals, one character of each class, and pairs of these, before something that fits nothing.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

import curate

PACKAGE = Path(curate.__file__).parent
LENGTH, SECONDS = 60_000, 0.7  # a quadratic pattern needs more than two seconds
# A text this many times shorter comes first. What takes .7 s of the long one for its square takes 7 ms of this one, and
# a linear pattern far less: only where it took more than PROBE_SECONDS can the long one be slow.
PROBE, PROBE_SECONDS = 10, 0.003
# Read only what we or the author of curate.yaml wrote, and short.
TRUSTED = {"report/theme.py"}


def list_patterns() -> Iterator[tuple[str, re.Pattern[str], bool]]:
    """List the place of each pattern, the pattern, and whether it is looked for anywhere in a text."""
    for file in sorted(PACKAGE.rglob("*.py")):
        source, place = file.read_text(encoding="utf-8"), file.relative_to(PACKAGE).as_posix()
        if not re.search(r"\bre\.[a-z]+\(", source) or place in TRUSTED:
            continue
        for call in ast.walk(ast.parse(source)):
            if not (isinstance(call, ast.Call) and call.args and ast.unparse(call.func).startswith("re.")):
                continue
            first = call.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                flags = sum(
                    getattr(re, name)
                    for name in re.findall(r"re\.([A-Z]+)\b", ast.unparse(call))
                    if name in ("DOTALL", "IGNORECASE", "MULTILINE")
                )
                anywhere = ast.unparse(call.func) not in ("re.compile", "re.match", "re.fullmatch")
                if anywhere:
                    yield place, re.compile(first.value, flags), True
        name = ".".join(("curate", *Path(place).with_suffix("").parts)).removesuffix(".__init__")
        for key, value in vars(importlib.import_module(name)).items():
            uses = set(re.findall(rf"\b{re.escape(key)}\.(\w+)\(", source))
            anywhere = not uses or not uses <= {"match", "fullmatch"}
            yield from ((place, pattern, anywhere) for pattern in find_in_value(value))
    from curate.data import prompt_constraints as rule

    for text in [pattern for pattern, _ in (*rule._SHAPES, *rule._WORDS)]:
        yield "data/prompt_constraints.py", re.compile(text, re.IGNORECASE), True
    for separator in (r"(?<![.!?])[.!?]++(?:[\s\"')\]]++|$)", r"\n\s*\n"):
        yield "data/prompt_constraints.py", re.compile(separator), True


def find_in_value(value: Any) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from find_in_value(part)


def list_atoms(pattern: re.Pattern[str]) -> list[str]:
    """List literals of the pattern, runs of them, and one character of each class."""
    atoms: dict[str, None] = {}

    def walk(tree: Any) -> None:
        run = ""
        for operator, argument in tree:
            if operator is _constants.LITERAL:
                run += chr(argument)
                continue
            if run:
                atoms[run] = None
                run = ""
            if operator is _constants.IN:
                classes = {_constants.CATEGORY_SPACE: " ", _constants.CATEGORY_DIGIT: "1"}
                for kind, content in argument[:6]:
                    if kind is _constants.LITERAL:
                        atoms[chr(content)] = None
                    elif kind is _constants.RANGE:
                        atoms[chr(content[0])] = None
                    elif kind is _constants.CATEGORY:
                        atoms[classes.get(content, "a")] = None
            for part in argument if isinstance(argument, (tuple, list)) else [argument]:
                if isinstance(part, _parser.SubPattern):
                    walk(part)
                elif isinstance(part, list):
                    for inner in part:
                        if isinstance(inner, _parser.SubPattern):
                            walk(inner)
        if run:
            atoms[run] = None

    walk(_parser.parse(pattern.pattern, pattern.flags))
    return [*[*atoms][:14], "a", " ", "\n", "\n\n"]


PATTERNS = list(
    {(place, found.pattern): (place, found, anywhere) for place, found, anywhere in list_patterns()}.values()
)


def find_slow_text(pattern: re.Pattern[str], *, anywhere: bool = True) -> str | None:
    def stop(*_: object) -> None:
        raise TimeoutError

    def look_through(text: str) -> None:
        for _ in pattern.finditer(text) if anywhere else (pattern.match(text), pattern.fullmatch(text)):
            pass

    atoms = list_atoms(pattern)
    pairs = map("".join, itertools.permutations([*atoms[:6], "a", " "], 2))
    threes = map("".join, itertools.permutations([*atoms[:2], "a", " "], 3))
    units = dict.fromkeys([*atoms, *pairs, *threes])
    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        attacks = itertools.chain(
            itertools.product([""], units, ("", "\0")), itertools.product(atoms[:3], atoms, ("", "\0"))
        )
        for prefix, unit, end in attacks:
            begin = time.thread_time()
            look_through(prefix + unit * (LENGTH // PROBE // len(unit)) + end)
            if time.thread_time() - begin < PROBE_SECONDS:
                continue
            text = prefix + unit * (LENGTH // len(unit)) + end
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
            try:
                look_through(text)
            except TimeoutError:
                return repr(prefix) + " + " + repr(unit) + "*n + " + repr(end)
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    finally:
        signal.signal(signal.SIGVTALRM, before)
    return None


def test_the_attack_finds_quadratic_patterns() -> None:
    for pattern in (r"[.!?]+\s", r"^\s*-", r"```\s*\n(.*?)```\Z", r"[^@]+@"):
        assert find_slow_text(re.compile(pattern, re.DOTALL | re.MULTILINE)), pattern


@pytest.mark.parametrize(("place", "pattern", "anywhere"), PATTERNS, ids=[place for place, *_ in PATTERNS])
def test_patterns_take_linear_time(place: str, pattern: re.Pattern[str], anywhere: bool) -> None:
    assert find_slow_text(pattern, anywhere=anywhere) is None, place
