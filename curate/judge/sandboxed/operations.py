"""The operations that one side can ask of the other; each takes the object first."""

from __future__ import annotations

import asyncio
import math
import operator
from collections.abc import Callable
from typing import Any

from .values import get_plain_value

BINARY = (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "lshift",
    "rshift",
    "and_",
    "or_",
    "xor",
)
IN_PLACE = tuple(f"i{name.removesuffix('_')}" for name in BINARY)
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
NUMBERS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "bool": bool,
    "ceil": math.ceil,
    "complex": complex,
    "float": float,
    "floor": math.floor,
    "index": operator.index,
    "int": int,
    "round": round,
    "trunc": math.trunc,
}
"""Functions that turn objects into plain numbers."""

_CONTEXT = {"enter": "__enter__", "exit": "__exit__"}


def _call_function(function: Any, positional: tuple[Any, ...], named: tuple[tuple[str, Any], ...]) -> Any:
    return function(*positional, **dict(named))


def _run_coroutine(coroutine: Any) -> Any:
    async def wait() -> Any:
        return await coroutine

    return asyncio.run(wait())


OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(operator, name) for name in (*BINARY, *IN_PLACE, *COMPARISONS)},
    **NUMBERS,
    **{
        name: lambda value, *arguments, method=method: getattr(type(value), method)(value, *arguments)
        for name, method in _CONTEXT.items()
    },
    "call": _call_function,
    "contains": operator.contains,
    "delattr": delattr,
    "delitem": operator.delitem,
    "dir": dir,
    "format": format,
    "getattr": getattr,
    "getitem": operator.getitem,
    "hash": hash,
    "invert": operator.invert,
    "isinstance": lambda kind, value: isinstance(value, kind),
    "issubclass": lambda kind, value: issubclass(value, kind),
    "iter": iter,
    "len": len,
    "neg": operator.neg,
    "next": next,
    "plain": get_plain_value,
    "pos": operator.pos,
    "repr": repr,
    "reversed": reversed,
    "run": _run_coroutine,
    "send": lambda generator, value: generator.send(value),
    "setattr": setattr,
    "setitem": operator.setitem,
    "str": str,
}
