"""Python values as JSON, between the process of the tests and the process of the code.

| value | JSON |
| --- | --- |
| None, bool, float, str, int of 64 bits | itself |
| larger int, bytes | `["int", hex]`, `["bytes", hex]` |
| tuple, frozenset | `["tuple", [...]]` |
| list, dict, set, deque, ... (mutable) | `["list", key, content]`, and `["ref", key]` where it stands again |
| Decimal, date, range, NumPy array, ... | `["value", "decimal.Decimal", arguments]` |
| a type of `builtins`, a function or module of the standard library | `["builtin", name]`, `["stdlib", module, name]` |
| anything else | `["object", owner, number, about]`: it stays where it is, and the other side gets a proxy |

Reading JSON runs no code of the other side, and makes no object of a class of its own choice. A mutable container that
both sides have keeps its key, so that a change on one side is made on the other with the next message.
"""

from __future__ import annotations

import builtins
import collections
import importlib
import itertools
import re
import sys
import types
from collections.abc import Callable
from typing import Any

SHARED = 16  # containers that stay shared from one message to the next, the last ones used
_LARGEST_SHARED = 1000  # elements of a container that stays shared
_SCALARS = frozenset({type(None), bool, float, str})
_BASES: tuple[type, ...] = (int, float, str, bytes, tuple, list, dict, set, frozenset)
_MUTABLE: dict[type, str] = {
    list: "list",
    dict: "dict",
    set: "set",
    bytearray: "bytearray",
    collections.deque: "deque",
    collections.OrderedDict: "OrderedDict",
    collections.Counter: "Counter",
    collections.defaultdict: "defaultdict",
}
_CONTAINERS = {name: kind for kind, name in _MUTABLE.items()}
_MODULES = frozenset({
    "bisect", "cmath", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq", "itertools",
    "json", "math", "numpy", "operator", "random", "re", "statistics", "string", "typing",
})  # fmt: skip
_MODULES_ALONE = frozenset({"io", "os", "sys", "time"})  # modules of which nothing goes over by itself
_ARRAY = re.compile(r"\|b1|[<>|][iufc]\d+|[<>|][SU]\d+")

# The arguments from which a value is made again, for types that both sides have.
_ARGUMENTS: dict[str, Callable[[Any], list[Any]]] = {
    "builtins.complex": lambda value: [value.real, value.imag],
    "builtins.range": lambda value: [value.start, value.stop, value.step],
    "builtins.slice": lambda value: [value.start, value.stop, value.step],
    "decimal.Decimal": lambda value: [str(value)],
    "fractions.Fraction": lambda value: [value.numerator, value.denominator],
    "datetime.date": lambda value: [value.year, value.month, value.day],
    "datetime.datetime": lambda value: [value.isoformat()],
    "datetime.time": lambda value: [value.isoformat()],
    "datetime.timedelta": lambda value: [value.days, value.seconds, value.microseconds],
    "numpy.ndarray": lambda value: [value.dtype.str, list(value.shape), value.tobytes()],
}


class ProtocolError(Exception):
    """A message of the other side that breaks the protocol."""


class Codec:
    """The values of one side: `side` is its name ("code" or "tests"), `proxy` makes proxies of foreign objects."""

    def __init__(self, side: str, proxy: Callable[[int, dict[str, Any]], Any]) -> None:
        self.side, self.other = side, "code" if side == "tests" else "tests"
        self._proxy = proxy
        self._numbers = itertools.count()
        self._own: dict[int, Any] = {}  # by number; never given up, so that `id` stays theirs
        self._number_of: dict[int, int] = {}  # by id
        self._foreign: dict[int, Any] = {}  # proxies by number
        self._proxies: dict[int, tuple[int, Any]] = {}  # numbers by the proxies' ids, and the proxies
        self._shared: dict[str, Any] = {}  # mutable containers by key, the last ones used at the end
        self._key_of: dict[int, str] = {}  # by id
        self._written: set[str] = set()  # keys that the message being written has

    # Messages ---------------------------------------------------------------------------------------------

    def encode_all(self, values: dict[str, Any]) -> dict[str, Any]:
        """Encode the fields of a message, with the contents of the containers that both sides have."""
        self._written.clear()
        message: dict[str, Any] = {"shared": [self.encode(part) for part in list(self._shared.values())]}
        return message | {name: self.encode(value) for name, value in values.items()}

    def update_containers(self, message: dict[str, Any]) -> None:
        for part in message.get("shared", []):
            self.decode(part)

    def forget_containers(self) -> None:
        """Stop sharing large containers, and all but the last ones."""
        excess = len(self._shared) - SHARED
        for place, (key, value) in enumerate(list(self._shared.items())):
            if place < excess or len(value) > _LARGEST_SHARED:
                del self._shared[key], self._key_of[id(value)]

    def get_own(self, number: object) -> Any:
        """Return an object of this side that the other side knows."""
        if type(number) is not int or number not in self._own:
            raise ProtocolError("an object that was never sent")
        return self._own[number]

    def is_own(self, value: Any) -> bool:
        """Tell whether a value is an object of this side that the other side knows."""
        return id(value) in self._number_of

    def let_stand_for(self, number: int, proxy: Any) -> None:
        """Write `proxy` as the foreign object of this number from now on."""
        self._proxies[id(proxy)] = (number, proxy)

    # Writing ----------------------------------------------------------------------------------------------

    def encode(self, value: Any) -> Any:
        kind = type(value)
        if kind in _SCALARS:
            return value
        if kind is int:
            return value if -(1 << 63) <= value < 1 << 63 else ["int", hex(value)]
        if kind is bytes:
            return ["bytes", value.hex()]
        if kind is tuple or kind is frozenset:
            return [kind.__name__, self._encode_each(value)]
        if kind in _MUTABLE:
            return self._encode_container(value, _MUTABLE[kind])
        if (proxy := self._proxies.get(id(value))) is not None:
            return ["object", self.other, proxy[0]]
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name in _ARGUMENTS and getattr(getattr(value, "dtype", None), "kind", "") != "O":
            return ["value", name, self._encode_each(_ARGUMENTS[name](value))]
        if kind.__module__ == "numpy" and hasattr(value, "dtype") and hasattr(value, "item"):
            return ["scalar", value.dtype.str, value.tobytes().hex()]
        return self._encode_reference(value) or self._encode_object(value)

    def _encode_each(self, values: Any) -> list[Any]:
        listed = list(values)
        if set(map(type, listed)) <= _SCALARS:
            return listed
        return [self.encode(value) for value in listed]

    def _encode_container(self, value: Any, name: str) -> list[Any]:
        key = self._key_of.get(id(value)) or f"{self.side}{next(self._numbers)}"
        self._share_container(key, value)
        if key in self._written:
            return ["ref", key]
        self._written.add(key)
        if name == "bytearray":
            return [name, key, value.hex()]
        if isinstance(value, dict):
            content = [[self.encode(half) for half in pair] for pair in value.items()]
        else:
            content = self._encode_each(value)
        about = getattr(value, "maxlen", None) if name == "deque" else getattr(value, "default_factory", None)
        return [name, key, content] if about is None else [name, key, content, self.encode(about)]

    def _share_container(self, key: str, value: Any) -> None:
        if (old := self._shared.pop(key, None)) is not None:
            self._key_of.pop(id(old), None)
        self._shared[key], self._key_of[id(value)] = value, key

    def _encode_reference(self, value: Any) -> list[Any] | None:
        """Encode a type, function or module that the other side has too; None if it is none."""
        if value is NotImplemented or value is Ellipsis:
            return ["builtin", str(value)]
        if isinstance(value, types.ModuleType):
            listed = value.__name__ in _MODULES | _MODULES_ALONE and sys.modules.get(value.__name__) is value
            return ["stdlib", value.__name__, None] if listed else None
        module, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
        if not isinstance(module, str) or not isinstance(name, str):
            return None
        if isinstance(value, type) and getattr(builtins, name, None) is value:
            return ["builtin", name]
        package = module.lstrip("_").partition(".")[0]
        known = sys.modules.get(package) if package in _MODULES else None
        if known is not None and not name.startswith("_") and getattr(known, name, None) is value:
            return ["stdlib", known.__name__, name]
        return None

    def _encode_object(self, value: Any) -> list[Any]:
        number = self._number_of.get(id(value))
        if number is None:
            number = self._number_of[id(value)] = next(self._numbers)
            self._own[number] = value
        return ["object", self.side, number, self._describe_object(value)]

    def _describe_object(self, value: Any) -> dict[str, Any]:
        """Describe an object, so that the other side can make a proxy that behaves like it."""
        if isinstance(value, BaseException):
            arguments = self.encode(tuple(value.args))
            return {
                "is": "error",
                "type": self.encode(type(value)),
                "args": arguments,
                "text": _show_error(value),
            }
        if isinstance(value, type) and issubclass(value, BaseException):
            return {"is": "error type", "name": value.__name__, "base": self.encode(value.__base__)}
        if isinstance(value, types.GeneratorType):
            return {"is": "generator"}
        if isinstance(value, types.CoroutineType):
            return {"is": "coroutine"}
        if not isinstance(value, _BASES):
            return {"is": "object"}
        return {"is": "value", "plain": self.encode(get_plain_value(value))}

    # Reading ----------------------------------------------------------------------------------------------

    def decode(self, data: Any) -> Any:
        if type(data) is not list:
            return data
        match data:
            case ["int", str(text)]:
                return int(text, 16)
            case ["bytes", str(text)]:
                return bytes.fromhex(text)
            case ["tuple", list(content)]:
                return tuple(self.decode(part) for part in content)
            case ["frozenset", list(content)]:
                return frozenset(self.decode(part) for part in content)
            case ["ref", str(key)]:
                return self._shared[key]
            case ["value", str(name), list(arguments)] if name in _ARGUMENTS:
                return _make_value(name, [self.decode(part) for part in arguments])
            case ["scalar", str(kind), str(text)] if _ARRAY.fullmatch(kind):
                return importlib.import_module("numpy").frombuffer(bytes.fromhex(text), kind)[0]
            case ["builtin", "NotImplemented" | "Ellipsis" as name]:
                return getattr(builtins, name)
            case ["builtin", str(name)] if isinstance(getattr(builtins, name, None), type):
                return getattr(builtins, name)
            case ["stdlib", str(module), None] if module in _MODULES | _MODULES_ALONE:
                return importlib.import_module(module)
            case ["stdlib", str(module), str(name)] if module in _MODULES and not name.startswith("_"):
                return getattr(importlib.import_module(module), name)
            case ["object", self.side, int(number), *_]:
                return self.get_own(number)
            case ["object", self.other, int(number), dict(about)]:
                if number not in self._foreign:
                    self._foreign[number] = proxy = self._proxy(number, about)
                    self.let_stand_for(number, proxy)
                return self._foreign[number]
            case [str(name), str(key), content, *more] if name in _CONTAINERS:
                return self._fill_container(name, key, content, [self.decode(part) for part in more])
        raise ProtocolError(f"no value: {str(data)[:80]}")

    def _fill_container(self, name: str, key: str, content: Any, about: list[Any]) -> Any:
        kind: Any = _CONTAINERS[name]
        held: Any = self._shared.get(key)
        if type(held) is not kind:
            held = kind(maxlen=about[0]) if name == "deque" and about else kind()
        self._share_container(key, held)
        if name == "bytearray":
            held[:] = bytes.fromhex(content)
        elif isinstance(held, dict):
            pairs = [(self.decode(name), self.decode(value)) for name, value in content]
            held.clear()
            for name_of, value in pairs:
                held[name_of] = value
        else:
            values = [self.decode(part) for part in content]
            held.clear()
            held.update(values) if isinstance(held, set) else held.extend(values)
        if name == "defaultdict" and about:
            held.default_factory = about[0]
        return held


def _make_value(name: str, arguments: list[Any]) -> Any:
    if name == "numpy.ndarray":
        kind, shape, content = arguments
        if not _ARRAY.fullmatch(kind):
            raise ProtocolError("an array of objects")
        return importlib.import_module("numpy").frombuffer(content, kind).reshape(shape).copy()
    module, _, kind = name.partition(".")
    make = getattr(importlib.import_module(module), kind)
    return make.fromisoformat(*arguments) if kind in ("datetime", "time") else make(*arguments)


def get_plain_value(value: Any) -> Any:
    """Return the value of an instance of a plain type's subclass, in the plain type."""
    base = next(part for part in _BASES if isinstance(value, part))
    if base in (int, float):
        return getattr(base, f"__{base.__name__}__")(value)
    if base is str:
        return str.__str__(value)
    if base is bytes:
        return bytes.__getitem__(value, slice(None))
    if base is dict:
        return dict(dict.items(value))
    return base(base.__iter__(value))  # type: ignore[attr-defined]  # the others are collections


def _show_error(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return type(error).__name__
