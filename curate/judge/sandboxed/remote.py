"""Proxies: objects that stand for objects of the other side.

On the side of the tests a proxy keeps code from deciding the tests' comparisons. Python would ask an object of the
code whether it equals 4, or what it is less 4, and the object could answer to please. So a value of the tests is never
handed to such an object for comparison, and a number that was made with one is never taken for a result: both are an
`UndecidableError`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Generator
from typing import Any

from .exchange import Exchange
from .operations import BINARY, COMPARISONS, IN_PLACE, NUMBERS
from .values import ProtocolError

_FORWARDED = frozenset({
    "__name__", "__qualname__", "__module__", "__doc__", "__annotations__", "__dict__", "__wrapped__",
    "__init__", "__call__", "__next__", "__iter__", "__len__", "__getitem__", "__setitem__",
    "__enter__", "__exit__", "__repr__", "__str__", "__eq__", "__lt__", "__add__", "__post_init__", "__all__",
})  # fmt: skip
# Modules of plain types.
_VALUES = frozenset({"builtins", "collections", "datetime", "decimal", "fractions", "numpy"})
# Methods of plain types that are told a value, or judge their own, and answer yes, no or where.
_ASKING = frozenset({
    "count", "endswith", "find", "index", "is_integer", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit",
    "isdisjoint", "isidentifier", "islower", "isnumeric", "isprintable", "isspace", "issubset", "issuperset", "istitle",
    "isupper", "rfind", "rindex", "startswith",
})  # fmt: skip


class UndecidableError(TypeError):
    """A result that only the code knows; it counts against the code, even if the tests catch it."""


class Remote:
    """An object of the other side. `plain`: its value, where its class derives from a plain type, as a 1-tuple.

    A value that can change (of a list, dict or set) is only the first one: `_find_plain` asks for the one of now.
    `is_known`: it was made with a value of the tests, by an operator.
    """

    __slots__ = ("__weakref__", "_remote_exchange", "_remote_plain", "_remote_told")

    def __init__(self, exchange: Exchange, plain: tuple[Any, ...] = ()) -> None:
        object.__setattr__(self, "_remote_exchange", exchange)
        object.__setattr__(self, "_remote_plain", plain)
        object.__setattr__(self, "_remote_told", False)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__") and name not in _FORWARDED:
            raise AttributeError(name)
        if name in _ASKING and (plain := _find_plain(self)) and hasattr(plain[0], name):
            return getattr(plain[0], name)
        return _request_operation(self, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _request_operation(self, "setattr", name, value)

    def __delattr__(self, name: str) -> None:
        _request_operation(self, "delattr", name)

    def __call__(self, *positional: Any, **named: Any) -> Any:
        return _request_operation(self, "call", positional, tuple(named.items()))

    def __contains__(self, item: Any) -> bool:
        if plain := _find_plain(self):
            return item in plain[0]
        if _is_code_side(self) or isinstance(item, Remote):
            return bool(_request_operation(self, "contains", item))
        try:
            items = iter(self)
        except TypeError:
            raise _make_undecidable(
                self, "only the code could say whether its object holds a value of the tests"
            ) from None
        claim = None if items is self else _request_operation(self, "contains", item)
        holds = any(item is other or item == other for other in items)
        if claim is not None and claim is not holds:
            raise _make_undecidable(
                self, "an object of the code contains what it does not give, or gives what it does not"
            )
        return holds

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, Remote) and bool(_request_operation(self, "isinstance", instance))

    def __subclasscheck__(self, subclass: Any) -> bool:
        return isinstance(subclass, Remote) and bool(_request_operation(self, "issubclass", subclass))

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        raise _make_undecidable(
            self, "tests cannot derive a class from one of the code, which is in another process"
        )

    def __await__(self) -> Generator[Any, Any, Any]:
        return _make_awaitable(self).__await__()

    def __dir__(self) -> Any:
        return _request_operation(self, "dir")


def _request_operation(remote: Remote, name: str, *arguments: Any) -> Any:
    return remote._remote_exchange.request(name, remote, *arguments)


def _is_code_side(remote: Remote) -> bool:
    """Tell whether this is the side of the code, which need not check its results."""
    return bool(remote._remote_exchange.codec.side == "code")


def _make_undecidable(remote: Remote, reason: str) -> UndecidableError:
    exchange = remote._remote_exchange
    exchange.broken = exchange.broken or reason
    return UndecidableError(reason)


def _is_changing(remote: Remote) -> bool:
    """Tell whether an object has a plain value that its methods may change."""
    return bool(remote._remote_plain) and isinstance(remote._remote_plain[0], (list, dict, set))


def _find_plain(remote: Remote) -> tuple[Any, ...]:
    """Return the plain value that an object has now, as a 1-tuple; empty if it has none."""
    return (_request_operation(remote, "plain"),) if _is_changing(remote) else remote._remote_plain


def _get_plain(value: Any) -> Any:
    """Return the plain value of an object of the other side, if it has one; else the value as it is."""
    plain = _find_plain(value) if isinstance(value, Remote) else ()
    return plain[0] if plain else value


def _make_forwarder(name: str, *, plain: Callable[..., Any] | None = None) -> Callable[..., Any]:
    def method(self: Remote, *arguments: Any) -> Any:
        if self._remote_plain and plain is not None and not _is_changing(self):
            return plain(self._remote_plain[0], *arguments)
        if self._remote_told and name in NUMBERS:
            raise _make_undecidable(
                self, f"the tests take {name}() of an object that the code made of a value of theirs"
            )
        result = _request_operation(self, name, *arguments)
        if self._remote_told and name == "len" and result == 0:
            raise _make_undecidable(
                self, "the tests count nothing in an object that the code made of a value of theirs"
            )
        return result

    return method


def _exit_context(self: Remote, kind: Any, error: Any, trace: Any) -> Any:
    """End a `with` block. A manager of the code may swallow errors, but no assertion of the tests."""
    is_swallowed = bool(_request_operation(self, "exit", kind, error, trace))
    if is_swallowed and isinstance(error, AssertionError) and not _is_code_side(self):
        raise _make_undecidable(self, "an object of the code has swallowed an assertion of the tests")
    return is_swallowed


def _make_comparison(name: str) -> Callable[[Remote, Any], Any]:
    decide = getattr(operator, name)

    def method(self: Remote, other: Any) -> Any:
        if self is other and name in ("eq", "ne"):
            return name == "eq"
        if isinstance(other, Remote) and not (
            name in ("eq", "ne") and self._remote_plain and other._remote_plain
        ):
            return _request_operation(self, name, other)
        if self._remote_plain:
            return decide(_get_plain(self), _get_plain(other))
        if _is_code_side(self):
            return _request_operation(self, name, other)
        if other is None and name in ("eq", "ne"):
            return name == "ne"
        if type(other).__module__ not in _VALUES:
            return NotImplemented  # an object of the tests' own, which may say
        raise _make_undecidable(
            self, "the tests compare an object of the code's own class with a value of theirs"
        )

    return method


def _make_operation(name: str, *, reflected: bool = False) -> Callable[[Remote, Any], Any]:
    def method(self: Remote, other: Any) -> Any:
        left, right = (other, self) if reflected else (self, other)
        of_code = isinstance(other, Remote)  # both are: their classes say, and no value of the tests is told
        values = [left, right] if of_code else [_get_plain(left), _get_plain(right)]
        if not any(isinstance(value, Remote) for value in values):
            return getattr(operator, name)(*values)
        result = self._remote_exchange.request(name, *values)
        is_known = any(not isinstance(value, Remote) or value._remote_told for value in values)
        if is_known and not _is_code_side(self) and result is not NotImplemented:
            if not isinstance(result, Remote) or result._remote_plain:
                raise _make_undecidable(
                    self, f"the tests take a value from {name} of an object of the code and their own"
                )
            object.__setattr__(result, "_remote_told", True)
        return result

    return method


for _name in BINARY:
    setattr(Remote, f"__{_name.removesuffix('_')}__", _make_operation(_name))
    setattr(Remote, f"__r{_name.removesuffix('_')}__", _make_operation(_name, reflected=True))
for _name in IN_PLACE:
    setattr(Remote, f"__{_name}__", _make_operation(_name))
for _name in COMPARISONS:
    setattr(Remote, f"__{_name}__", _make_comparison(_name))
for _name, _function in NUMBERS.items():
    setattr(Remote, f"__{_name}__", _make_forwarder(_name, plain=_function))
for _name in ("neg", "pos", "invert", "getitem"):
    setattr(Remote, f"__{_name}__", _make_forwarder(_name, plain=getattr(operator, _name)))
_COLLECTIONS: dict[str, Callable[..., Any]] = {
    "len": len,
    "iter": iter,
    "reversed": reversed,
    "hash": hash,
    "next": next,
}
for _name, _function in _COLLECTIONS.items():
    setattr(Remote, f"__{_name}__", _make_forwarder(_name, plain=_function))
for _name in ("str", "repr", "format", "setitem", "delitem", "enter"):
    setattr(Remote, f"__{_name}__", _make_forwarder(_name))
Remote.__exit__ = _exit_context  # type: ignore[attr-defined]


def make_proxy(exchange: Exchange, number: int, about: dict[str, Any]) -> Any:
    """Make the proxy of an object of the other side from its description."""
    decode = exchange.codec.decode
    remote = Remote(exchange, (decode(about["plain"]),) if "plain" in about else ())
    exchange.codec.let_stand_for(number, remote)
    match about:
        case {"is": "error type", "name": str(name), "base": base}:
            return _make_error_type(name, decode(base))
        case {"is": "error", "type": kind, "args": arguments, "text": str(text)}:
            return _make_error(remote, decode(kind), decode(arguments), text)
        case {"is": "generator"}:
            return _make_generator(remote)
        case {"is": "coroutine"}:
            return _make_awaitable(remote)
    return remote


def _make_error_type(name: str, base: Any) -> type[BaseException]:
    """Make an error class of the same name and built-in base, so that tests can catch it."""

    def read_attribute(self: BaseException, attribute: str) -> Any:
        remote = self.__dict__.get("remote")
        if remote is None or attribute.startswith("__"):
            raise AttributeError(attribute)
        return _request_operation(remote, "getattr", attribute)

    def show(self: BaseException) -> str:
        return str(self.__dict__.get("text", base.__str__(self)))

    _check_error_type(base)
    return type(name, (base,), {"__module__": "solution", "__getattr__": read_attribute, "__str__": show})


def _make_error(remote: Remote, kind: Any, arguments: Any, text: str) -> BaseException:
    _check_error_type(kind)
    try:
        error = kind(*arguments)
    except Exception:  # its class takes other arguments than it keeps
        error = kind.__new__(kind, *arguments)
    if kind.__module__ == "solution":
        error.__dict__.update(remote=remote, text=text)
    return error  # type: ignore[no-any-return]  # checked above


def _check_error_type(kind: Any) -> None:
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        raise ProtocolError("an error of a class that is none")


def _make_generator(remote: Remote) -> Generator[Any, Any, Any]:
    sent = None
    while True:
        try:
            value = _request_operation(remote, "send", sent)
        except StopIteration as end:
            return end.value
        sent = yield value


async def _make_awaitable(remote: Remote) -> Any:
    return _request_operation(remote, "run")
