"""What tests ask of values that the code returned: lies of its classes, and honest classes of plain bases."""

from __future__ import annotations

import pytest

from curate.judge import sandbox

pytestmark = pytest.mark.skipif(
    not sandbox.can_isolate(), reason="this system does not let a process be cut off (no user namespaces)"
)

LIARS = """
yes = lambda self, *rest: True
class Text(str): startswith = endswith = isdigit = yes; count = find = index = lambda self, *rest: 1
class Bag(set): issubset = issuperset = isdisjoint = yes
class Row(list): count = index = lambda self, *rest: 1
class Pair(tuple): count = index = lambda self, *rest: 1
class Number(float): is_integer = yes
"""
HONEST = """
from collections import OrderedDict
class Stack(list):
    def push(self, item): self.append(item)
class LRU(OrderedDict):
    def __init__(self, size): super().__init__(); self.size = size
    def get(self, key): return super().get(key, -1)
    def put(self, key, value):
        self[key] = value
        if len(self) > self.size: self.popitem(last=False)
class Vector(tuple):
    def __add__(self, other): return Vector(a + b for a, b in zip(self, other))
class Card(str):
    def __lt__(self, other): return "JQK".index(self) < "JQK".index(other)
class Seen(set): pass
"""


@pytest.mark.parametrize(
    ("value", "claim"),
    [
        ("Text('zzz')", "f().startswith('four')"),
        ("Text('zzz')", "f().isdigit()"),
        ("Text('zzz')", "f().count('four') == 1"),
        ("Bag([1])", "f().issubset({4})"),
        ("Bag([1])", "f().isdisjoint({1})"),
        ("Row([1])", "f().count(4) == 1"),
        ("Pair([1])", "f().count(4) == 1"),
        ("Number(.5)", "f().is_integer()"),
    ],
)
def test_a_class_that_derives_from_a_plain_one_does_not_say_what_its_value_holds(
    value: str, claim: str
) -> None:
    ran = sandbox.run_code(f"{LIARS}\ndef f(): return {value}", f"assert {claim}")
    assert ran == sandbox.CodeResult(False, "AssertionError")


@pytest.mark.parametrize(
    "tests",
    [
        "s = Stack()\ns.push(3)\nassert len(s) == 1 and s[0] == 3 and 3 in s and s == [3] and list(s) == [3]",
        "s = Stack()\ns.push(3)\ns[0] = 4\nassert s.pop() == 4 and not s and s == []",
        "c = LRU(1)\nc.put(1, 1)\nc.put(2, 5)\nassert c.get(1) == -1 and c.get(2) == 5 and len(c) == 1 and c == {2: 5}",
        "assert Vector((1, 2)) + Vector((3, 4)) == (4, 6)",
        "assert sorted([Card('K'), Card('J'), Card('Q')]) == ['J', 'Q', 'K']",
        "s = Seen()\ns.add(1)\nassert s == {1} and s.issubset({1, 2})",
    ],
)
def test_honest_classes_that_derive_from_plain_ones_are_asked_as_they_are_now(tests: str) -> None:
    assert sandbox.run_code(HONEST, tests) == sandbox.CodeResult(True, "passed")


OBJECT = """
class Yes:
    startswith = contains = __eq__ = lambda self, *rest: True
def f(): return Yes()
def g(): return {"a": [4]}
def h(): yield from (1, 2)
def add(x): return lambda y: x + y
"""


@pytest.mark.parametrize(
    "claim", ["f().startswith('four')", "f().contains(4)", "f() == f()", "solution.f().contains(4)"]
)
def test_plain_takes_no_word_of_an_object(claim: str) -> None:
    tests = f"import solution\nassert {claim}"
    assert sandbox.run_code(OBJECT, tests).passed  # the code answers for itself
    ran = sandbox.run_code(OBJECT, tests, plain=True)
    assert not ran.passed
    assert "`plain: true` takes plain values only" in ran.reason


def test_plain_takes_plain_values() -> None:
    tests = "import solution\nassert g() == {'a': [4]} and list(h()) == [1, 2] and solution.add(1)(2) == 3"
    assert sandbox.run_code(OBJECT, tests, plain=True) == sandbox.CodeResult(True, "passed")
